import type { Image } from '#images/index.ts';
import type { HistoryEntry, ImageConfig, ImageRunConfig, Platform } from '#oci/index.ts';
import { cacheKey } from './build-cache.ts';
import { type ExportedLayer, emptyTree, type StageTree } from './step-layers.ts';

/** A stage between two instructions: everything an image made of it would be. Immutable. */
export interface StageState {
  readonly tree: StageTree;
  readonly config: ImageRunConfig;
  readonly author: string | undefined;
  readonly history: readonly HistoryEntry[];
  /** RFC 3339; the latest of its steps. */
  readonly created: string | undefined;
  /** Digest of all of it, shown in short after each step. */
  readonly key: string;
  readonly platform: Pick<ImageConfig, 'architecture' | 'os' | 'variant'>;
  /** How many of its layers and lines of history are the base image's. */
  readonly baseLayers: number;
  readonly baseHistory: number;
  /** What its first so many layers are the result of, for a cache that travels. */
  readonly results: readonly { readonly key: string; readonly layers: number; readonly created: string }[];
}

/** The state of a stage that begins with nothing. */
export const scratchStateOf = ({ os, architecture, variant }: Platform): StageState => ({
  tree: emptyTree,
  config: {},
  author: undefined,
  history: [],
  created: undefined,
  key: cacheKey('scratch', []),
  platform: { architecture, os, ...(variant === undefined ? {} : { variant }) },
  baseLayers: 0,
  baseHistory: 0,
  results: [],
});

/** The state that a stage begins with on an image. */
export function stateOfImage(image: Image): StageState {
  const { config } = image;
  const exported = config.rootfs.diff_ids.flatMap((diffId, index): ExportedLayer[] => {
    const descriptor = image.layers[index];
    return descriptor === undefined ? [] : [{ diffId, descriptor: Promise.resolve(descriptor) }];
  });
  return {
    tree: { identity: image.chainId ?? emptyTree.identity, layer: image.chainId, exported },
    config: config.config ?? {},
    author: config.author,
    history: config.history ?? [],
    created: config.created,
    key: image.id,
    platform: {
      architecture: config.architecture,
      os: config.os,
      ...(config.variant === undefined ? {} : { variant: config.variant }),
    },
    baseLayers: exported.length,
    baseHistory: config.history?.length ?? 0,
    results: [],
  };
}

/** What one instruction did. */
export interface StepResult {
  readonly tree?: StageTree;
  /** The step's cache key, where it made a tree. */
  readonly key?: string;
  readonly config?: ImageRunConfig;
  readonly author?: string;
  readonly createdBy: string;
  readonly created: string;
}

/** The state after a step, with its line of history. */
export function afterStep(state: StageState, step: StepResult): StageState {
  const { tree = state.tree, config = state.config, author = state.author, createdBy, created } = step;
  const entry: HistoryEntry = {
    created,
    created_by: createdBy,
    ...(step.tree === undefined ? { empty_layer: true } : {}),
  };
  return {
    ...state,
    tree,
    config,
    author,
    history: [...state.history, entry],
    results:
      step.key === undefined || tree.exported === undefined
        ? state.results
        : [...state.results, { key: step.key, layers: tree.exported.length, created }],
    created: state.created === undefined || created > state.created ? created : state.created,
    key: cacheKey('state', [state.key, tree.identity, config, author, createdBy]),
  };
}

/** The image's configuration (image-spec: config.md). Its layers are the tree's; `epoch` stands for now. */
export function imageConfigOf(state: StageState, epoch: number | undefined): ImageConfig {
  const { OnBuild, ...config } = state.config;
  return {
    created: epoch === undefined ? (state.created ?? new Date().toISOString()) : new Date(epoch * 1000).toISOString(),
    ...(state.author === undefined ? {} : { author: state.author }),
    ...state.platform,
    config: { ...config, ...(OnBuild === undefined || OnBuild.length === 0 ? {} : { OnBuild }) },
    rootfs: { type: 'layers', diff_ids: (state.tree.exported ?? []).map((layer) => layer.diffId) },
    history: state.history,
  };
}
