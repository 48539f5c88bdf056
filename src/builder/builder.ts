import type { Readable } from 'node:stream';
import type { Credentials, OnProgress } from '#images/index.ts';
import type { Mount } from '#oci/index.ts';

/** Dockerfile → typed instructions → graph of vertices → solve. */
export interface Builder {
  build(
    request: BuildRequest,
    options: { onOutput: (event: BuildEvent) => void; signal?: AbortSignal },
  ): Promise<{ imageId: string }>;
}

export interface BuildRequest {
  /** The context as a tar stream (gzip allowed). */
  readonly context: Readable;
  readonly dockerfile: string; // path in the context
  readonly tags: readonly string[];
  readonly buildArgs: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly noCache: boolean;
  readonly pull: boolean;
  readonly networkMode?: string;
  readonly platform?: string;
  /** By registry host. */
  readonly credentials: Readonly<Record<string, Credentials>>;
}

/** `stream` is text as classic docker prints it; `progress` is for pulls of base images. */
export type BuildEvent =
  | { readonly stream: string }
  | { readonly progress: Parameters<OnProgress>[0] }
  | { readonly aux: { readonly ID: string } };

/**
 * How a RUN step is run: given by whoever composes the program (the engine), so that the builder knows no engine.
 * Same isolation as `run`. Resolves with the exit code once the process and its output are done.
 */
export interface StepRunner {
  run(
    step: {
      readonly diffId: string; // a diff of the graph driver, already created; volatile
      readonly rootfs: readonly Mount[];
      readonly args: readonly string[];
      readonly env: readonly string[];
      readonly cwd: string;
      readonly user: string; // as in USER; resolved against the root filesystem
      readonly networkMode: string;
    },
    options: { onOutput: (stream: 'stdout' | 'stderr', data: Buffer) => void; signal?: AbortSignal },
  ): Promise<{ exitCode: number }>;
}
