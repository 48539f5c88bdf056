import {
  type Dockerfile,
  expandWord,
  frameError,
  type Instruction,
  type Lookup,
  nearest,
  parseRunMount,
  type Stage,
  type Word,
} from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import type { BuildRequest } from './builder.ts';

/** Where a file tree comes from: nowhere, an earlier stage, an image, or a named context. */
export type Origin =
  | { readonly from: 'scratch' }
  | { readonly from: 'stage'; readonly index: number }
  | { readonly from: 'image'; readonly reference: string; readonly word: Word }
  /** Files that the client gave a name (`--build-context name=…`). */
  | { readonly from: 'context'; readonly name: string };

export interface PlannedStage {
  readonly stage: Stage;
  readonly base: Origin;
  readonly platform?: { readonly text: string; readonly word: Word };
  /** Its layers reach the image: it is the target, or the target stands on it. */
  readonly exported: boolean;
}

/** The stages that a build needs, in the file's order; others are never looked at. */
export interface StageGraph {
  readonly target: number;
  readonly stages: readonly PlannedStage[];
  /** What `--from` names inside stage `index`. @throws GantryError invalid, as a code frame */
  origin(word: Word, index: number): Origin;
}

/** Decides what has to be built. @throws GantryError invalid (an unknown target; a name that cannot be) */
export function planStages(
  file: Dockerfile,
  global: Lookup,
  request: Pick<BuildRequest, 'target' | 'namedContexts' | 'output' | 'cacheTo'> = {},
): StageGraph {
  const { target: targetName, namedContexts = {} } = request;
  const { stages } = file;
  /** What the client named so; it goes before stages and images. */
  const given = (name: string, word: Word): Origin | undefined => {
    const key = [name, name.toLowerCase(), name.replace(/:latest$/, '')].find((one) =>
      Object.hasOwn(namedContexts, one),
    );
    const context = key === undefined ? undefined : namedContexts[key];
    if (key === undefined || context === undefined) return undefined;
    return context.from === 'image'
      ? { from: 'image', reference: context.reference, word }
      : { from: 'context', name: key };
  };
  const earlier = (name: string, before: number): number | undefined => {
    const named = stages.findLastIndex((stage) => stage.index < before && stage.name === name.toLowerCase());
    return named < 0 ? undefined : named;
  };
  const bases = stages.map((stage): Origin => {
    const { image } = stage.from;
    const reference = expandWord(image, global, file.escape);
    if (reference === '')
      throw frameError(image.span, `base name (${image.text}) should not be blank; give its ARG a value`);
    const named = given(reference, image);
    if (named !== undefined) return named;
    if (reference.toLowerCase() === 'scratch') return { from: 'scratch' };
    const index = earlier(reference, stage.index);
    return index === undefined ? { from: 'image', reference, word: image } : { from: 'stage', index };
  });

  const origin = (word: Word, index: number): Origin => {
    if (word.text.includes('$'))
      throw frameError(
        word.span,
        'variable expansion is not supported for --from; name a stage with FROM … AS instead',
      );
    if (word.text === '') throw frameError(word.span, '--from needs a stage or an image');
    const named = given(word.text, word);
    if (named !== undefined) return named;
    if (/^\d+$/.test(word.text)) {
      const number = Number(word.text);
      if (number >= index)
        throw frameError(word.span, `invalid from flag value ${word.text}: only an earlier stage can be copied from`);
      return { from: 'stage', index: number };
    }
    const found = earlier(word.text, index);
    if (found !== undefined) return { from: 'stage', index: found };
    if (stages[index]?.name === word.text.toLowerCase())
      throw frameError(word.span, `invalid from flag value ${word.text}: a stage cannot copy from itself`);
    return word.text.toLowerCase() === 'scratch' ? { from: 'scratch' } : { from: 'image', reference: word.text, word };
  };

  const target = targetName === undefined ? stages.length - 1 : targetOf(stages, targetName);
  const needed = new Set<number>();
  const visit = (index: number): void => {
    const stage = stages[index];
    const base = bases[index];
    if (stage === undefined || base === undefined || needed.has(index)) return;
    needed.add(index);
    const origins = stage.instructions.flatMap(sourcesOf).map((word) => origin(word, index));
    for (const one of [base, ...origins]) if (one.from === 'stage') visit(one.index);
  };
  visit(target);

  const exported = new Set<number>();
  if (request.cacheTo?.some((to) => to.type !== 'inline' && to.mode === 'max') === true)
    for (const index of needed) exported.add(index);
  else if (request.output !== 'rootfs')
    for (let at: Origin | undefined = { from: 'stage', index: target }; at?.from === 'stage'; at = bases[at.index])
      exported.add(at.index);

  return {
    target,
    origin,
    stages: stages.flatMap((stage, index): PlannedStage[] => {
      const base = bases[index];
      if (base === undefined || !needed.has(index)) return [];
      const word = stage.from.platform;
      const platform = word === undefined ? {} : { platform: { text: expandWord(word, global, file.escape), word } };
      return [{ stage, base, exported: exported.has(index), ...platform }];
    }),
  };
}

/** What an instruction's `from` names, where it can be told before variables are known. */
function sourcesOf(instruction: Instruction): readonly Word[] {
  if (instruction.kind === 'COPY') return instruction.from === undefined ? [] : [instruction.from];
  if (instruction.kind !== 'RUN') return [];
  return instruction.mounts.flatMap(({ text, span }) => {
    if (text.includes('$') && !/(?:^|,)from=[^$,]+(?:,|$)/.test(text)) return [];
    const mount = text.includes('$') ? { from: /(?:^|,)from=([^$,]+)/.exec(text)?.[1] } : parseRunMount(text, span);
    return 'from' in mount && mount.from !== undefined ? [{ text: mount.from, span }] : [];
  });
}

function targetOf(stages: readonly Stage[], name: string): number {
  const named = stages.findLastIndex((stage) => stage.name === name.toLowerCase());
  if (named >= 0) return named;
  if (/^\d+$/.test(name) && stages[Number(name)] !== undefined) return Number(name);
  const names = stages.flatMap((stage) => stage.name ?? []);
  const near = nearest(name, names);
  const hint =
    near === undefined ? (names.length === 0 ? '' : `; stages are ${names.join(', ')}`) : `; did you mean ${near}?`;
  throw new GantryError('invalid', `target stage "${name}" could not be found${hint}`, { code: 'target-not-found' });
}
