import { frameError, type Word } from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import { closeFd, mountDetached } from '#linux/index.ts';
import type { BuildSession } from './build-session.ts';
import type { ContextTree } from './context-trees.ts';
import { nothingIgnored } from './ignore.ts';
import type { SourceTree } from './source-tree.ts';
import type { StageOutput } from './stage-output.ts';

/** A tree that COPY may read and RUN may mount, opened only when it is needed. */
export interface SourceOrigin {
  /** Names the tree's content for good; absent for contexts, which are new with every build. */
  readonly layer?: string;
  use<T>(work: (tree: SourceTree) => Promise<T>): Promise<T>;
  /** Where a context lies on this host. @throws GantryError internal for a layer, which lies nowhere until it is mounted */
  directory(): Promise<string>;
}

const ofContext = (context: ContextTree): SourceOrigin => ({
  use: (work) => work(context.tree),
  directory: context.directory,
});

/** The build context, or what `from` names: a named context, an earlier stage or an image (pulled if need be). */
export async function originOf(
  session: BuildSession,
  from: Word | undefined,
  stage: number,
  output: StageOutput,
): Promise<SourceOrigin> {
  const { context, graph, driver } = session;
  if (from === undefined) return ofContext(context);
  const origin = graph.origin(from, stage);
  const ofLayer = (layer: string | undefined, called: string): SourceOrigin => {
    if (layer === undefined) throw frameError(from.span, `${called} has no files to copy`);
    return {
      layer,
      async use(work) {
        const root = mountDetached(await driver.view(layer));
        try {
          return await work({ root, ignore: nothingIgnored, keepsOwners: true, called });
        } finally {
          closeFd(root);
        }
      },
      directory: async () => {
        throw new GantryError('internal', `${called} has no directory of its own`);
      },
    };
  };
  switch (origin.from) {
    case 'scratch':
      return ofLayer(undefined, 'scratch');
    case 'context':
      return ofContext(await session.namedTree(origin.name));
    case 'stage': {
      const running = session.stage(origin.index);
      if (running === undefined)
        throw frameError(
          from.span,
          `a trigger cannot copy from stage ${from.text}, which nothing else needs`,
          'unsupported',
        );
      return ofLayer((await running).tree.layer, `stage ${from.text}`);
    }
    case 'image':
      return ofLayer((await session.baseImage(origin.reference, output)).chainId, `image ${origin.reference}`);
  }
}
