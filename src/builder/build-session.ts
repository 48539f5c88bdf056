import type { Dockerfile } from '#dockerfile/index.ts';
import type { GraphDriver } from '#snapshots/index.ts';
import type { BaseImages } from './base-images.ts';
import type { BuildArgs } from './build-args.ts';
import type { BuildCache } from './build-cache.ts';
import type { BuildRequest, StepRunner } from './builder.ts';
import type { Ignore } from './ignore.ts';
import type { MountPoints } from './mount-points.ts';
import type { StageGraph } from './stage-graph.ts';
import type { StageState } from './stage-state.ts';
import type { StepLayers } from './step-layers.ts';

/** What all stages of one build share. */
export interface BuildSession {
  readonly request: BuildRequest;
  readonly file: Dockerfile;
  readonly graph: StageGraph;
  readonly args: BuildArgs;
  readonly context: { readonly root: number; readonly ignore: Ignore };
  /** A directory of this build alone, for downloads and unpacked archives; removed with it. */
  readonly scratch: string;
  readonly driver: GraphDriver;
  readonly steps: StepRunner;
  readonly mountPoints: MountPoints;
  readonly layers: StepLayers;
  readonly cache: BuildCache;
  readonly baseImage: BaseImages;
  /** A stage that runs already; waits for it. */
  readonly stage: (index: number) => Promise<StageState> | undefined;
  readonly signal: AbortSignal;
}
