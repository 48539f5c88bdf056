import type { Duplex, Readable } from 'node:stream';
import type { LintWarning } from '#dockerfile/index.ts';
import type { Credentials, OnProgress } from '#images/index.ts';
import type { Mount } from '#oci/index.ts';
import type { Attestations } from './attestations/attest.ts';
import type { ContextOffer } from './kept-contexts.ts';

/** Dockerfile → typed instructions → graph of vertices → solve. */
export interface Builder {
  /** `imageId` is empty where no image was asked for (`check`, `output: 'rootfs'`). */
  build(
    request: BuildRequest,
    options: {
      onOutput: (event: BuildEvent) => void;
      /** Given the target's files as a tar; the build waits for it. */
      onRootfs?: (tar: Readable) => Promise<void>;
      /** Given the archive of a local cache; the build waits for it. */
      onCache?: (tar: Readable) => Promise<void>;
      signal?: AbortSignal;
    },
  ): Promise<{ imageId: string }>;
  /**
   * Takes the list of a directory that a client is about to send (`readContextList`), and tells what of it is wanted. `key` is
   * a secret of the client's, one for each directory. @throws GantryError invalid, exhausted
   */
  offerContext(key: string, list: AsyncIterable<Uint8Array>): Promise<ContextOffer>;
  /** Removes what is kept between builds, but for what a build that runs uses. */
  prune(request: PruneRequest): Promise<readonly CacheRecord[]>;
  /** Gives what a cache mount holds as a tar, while no `locked` step has it. @throws GantryError not-found */
  exportMount(id: string, take: (tar: Readable) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Unpacks a tar into a cache mount, which is made if there is none of that id. @throws GantryError invalid, corrupt */
  importMount(id: string, tar: Readable, signal: AbortSignal): Promise<void>;
  /** What is kept between builds, longest unused first. */
  usage(): Promise<readonly CacheRecord[]>;
}

/** One thing that the builder keeps: a layer that no image has, a cache mount, or a context. */
export interface CacheRecord {
  readonly id: string;
  readonly type: 'regular' | 'exec.cachemount' | 'source.local';
  /** Bytes on disk. */
  readonly size: number;
  readonly used: Date;
  readonly inUse: boolean;
  readonly directory?: string;
}

export interface PruneRequest {
  readonly unusedSince?: Date;
  readonly types?: readonly CacheRecord['type'][];
  /** Ids, or how they begin. */
  readonly ids?: readonly string[];
  /** What may stay, in bytes; default nothing. */
  readonly keepBytes?: number;
}

export interface BuildRequest {
  /** The context as a tar stream (gzip, zstd, bzip2 and xz allowed), or where to fetch it from (`RemoteContext`). */
  readonly context: Readable | RemoteContext | ListedContext;
  readonly dockerfile: string; // path in the context
  readonly tags: readonly string[];
  readonly buildArgs: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly noCache: boolean;
  /** `--no-cache-filter`: stages, by name or number, whose steps run again. */
  readonly noCacheStages?: readonly string[];
  readonly pull: boolean;
  readonly networkMode?: string;
  /** Of one or, by commas, of several: then the tags stand for an index. */
  readonly platform?: string;
  /** Statements that are kept and pushed with the image, in an index. */
  readonly attestations?: Attestations;
  /** By registry host. */
  readonly credentials: Readonly<Record<string, Credentials>>;
  readonly limits?: StepLimits;
  /** `name:address`, in every step's /etc/hosts. */
  readonly extraHosts?: readonly string[];
  /** One layer instead of all that the build made. */
  readonly squash?: boolean;
  /** By id, for `RUN --mount=type=secret`; never written to a disk, a log, a layer or a cache key. */
  readonly secrets?: Readonly<Record<string, Uint8Array>>;
  /** By id, for `RUN --mount=type=ssh`: connects to the client's agent. */
  readonly agents?: Readonly<Record<string, () => Duplex>>;
  /** What a name in FROM, `--from` or `from=` stands for, before stages and images are looked at. */
  readonly namedContexts?: Readonly<Record<string, NamedContext>>;
  /** Images that carry results of steps, or archives of such images. */
  readonly cacheFrom?: readonly (string | (() => Promise<Readable>))[];
  /** Where results of steps go. */
  readonly cacheTo?: readonly CacheTarget[];
  /** What steps may ask for beyond the ordinary. */
  readonly entitlements?: readonly Entitlement[];
  /** `image` (default) makes an image; `rootfs` only the target's files, given to `onRootfs`. */
  readonly output?: 'image' | 'rootfs';
  /** Only look for mistakes: warnings are told, nothing is built. */
  readonly check?: boolean;
}

/** A git repository (`https://….git#ref:subdirectory`, `git@…`), or a URL of a tar or a Dockerfile. */
export interface RemoteContext {
  readonly url: string;
}

/** A directory whose list came before: `body` has the contents of what the offer needs, one after the other. */
export interface ListedContext {
  readonly offer: ContextOffer;
  readonly body: Readable;
}

export type NamedContext =
  | { readonly from: 'image'; readonly reference: string }
  | { readonly from: 'tar'; readonly tar: () => Promise<Readable> }
  | { readonly from: 'remote'; readonly url: string };

/** `min`: the steps of the image itself; `max`: those of all stages that were built. */
export type CacheTarget =
  | { readonly type: 'inline' }
  | { readonly type: 'registry'; readonly reference: string; readonly mode: 'min' | 'max' }
  | { readonly type: 'local'; readonly mode: 'min' | 'max' };

export type Entitlement = 'network.host' | 'security.insecure';

/** What each step may use (`--memory`, `--cpu-shares`, …). */
export interface StepLimits {
  /** The cgroup that a step's is made in; absent: the engine's. */
  readonly cgroupParent?: string;
  readonly memoryBytes?: number;
  readonly memorySwapBytes?: number;
  readonly cpuShares?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly shmSizeBytes?: number;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
}

/** `stream` is text as classic docker prints it; `progress` is for pulls of base images; `step` is the same as facts. */
export type BuildEvent =
  | { readonly stream: string }
  | { readonly progress: Parameters<OnProgress>[0] }
  | { readonly step: StepEvent }
  | { readonly warning: LintWarning }
  /** `Digest` is of what was tagged: the image's manifest, or an index. */
  | { readonly aux: { readonly ID: string; readonly Digest: string } };

/** What happens to one vertex of the graph, told at once and in no order between stages. `id` is unique in the build. */
export type StepEvent =
  | { readonly id: string; readonly is: 'started'; readonly name: string }
  | { readonly id: string; readonly is: 'log'; readonly text: string }
  | { readonly id: string; readonly is: 'progress'; readonly progress: Parameters<OnProgress>[0] }
  /** `why` tells of a step that ran what differs from the last time. */
  | { readonly id: string; readonly is: 'done'; readonly cached: boolean; readonly why?: string }
  | { readonly id: string; readonly is: 'failed'; readonly error: string };

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
      /** Besides those of every container. */
      readonly mounts?: readonly Mount[];
      /** `RUN --security=insecure`. */
      readonly privileged?: boolean;
      readonly extraHosts?: readonly string[];
      readonly limits?: StepLimits;
    },
    options: { onOutput: (stream: 'stdout' | 'stderr', data: Buffer) => void; signal?: AbortSignal },
  ): Promise<{ exitCode: number }>;
}
