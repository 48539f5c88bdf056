import type { Dockerfile } from '#dockerfile/index.ts';
import type { Platform } from '#oci/index.ts';
import type { GraphDriver, MountPoints } from '#snapshots/index.ts';
import type { BaseImages } from './base-images.ts';
import type { BuildArgs } from './build-args.ts';
import type { BuildCache } from './build-cache.ts';
import type { BuildHolds } from './build-holds.ts';
import type { BuildRequest, StepRunner } from './builder.ts';
import type { CacheMounts } from './cache-mounts.ts';
import type { ContextTree } from './context-trees.ts';
import type { Flights } from './keyed-step.ts';
import type { StageGraph } from './stage-graph.ts';
import type { StageState } from './stage-state.ts';
import type { StepLayers } from './step-layers.ts';
import type { StepMemory } from './step-memory.ts';

/** What all stages of one build share. */
export interface BuildSession {
  readonly request: BuildRequest;
  readonly file: Dockerfile;
  readonly graph: StageGraph;
  readonly args: BuildArgs;
  readonly context: ContextTree;
  /** A named context of files; its name is one of the request's. */
  readonly namedTree: (name: string) => Promise<ContextTree>;
  /** A directory of this build alone, for downloads and unpacked archives; removed with it. */
  readonly scratch: string;
  readonly driver: GraphDriver;
  readonly steps: StepRunner;
  readonly mountPoints: MountPoints;
  readonly cacheMounts: CacheMounts;
  readonly layers: StepLayers;
  readonly holds: BuildHolds;
  readonly cache: BuildCache;
  readonly memory: StepMemory;
  /** Steps that run now, of all builds. */
  readonly flights: Flights;
  /** Whether a stage's steps are run whatever the cache holds. */
  readonly ignoresCache: (stage: number) => boolean;
  /** SOURCE_DATE_EPOCH: seconds since 1970 that stand for now, and that no file is newer than. */
  readonly epoch: number | undefined;
  /** Results are to be used on other machines: only those count that mean the same there. */
  readonly portable: boolean;
  /** What is built for. */
  readonly platform: Platform;
  readonly baseImage: BaseImages;
  /** A stage that runs already; waits for it. */
  readonly stage: (index: number) => Promise<StageState> | undefined;
  readonly signal: AbortSignal;
}
