import {
  type ArgInstruction,
  expandWord,
  type FromInstruction,
  frameError,
  type Instruction,
  type Lookup,
  parseTrigger,
} from '#dockerfile/index.ts';
import { isGantryError, messageOf, throwIfAborted } from '#errors/index.ts';
import { closeFd, mountDetached } from '#linux/index.ts';
import type { ImageRunConfig, Platform } from '#oci/index.ts';
import { cacheKey } from './build-cache.ts';
import type { BuildSession } from './build-session.ts';
import { fileStep } from './file-step.ts';
import { keyedStep, type StepRun } from './keyed-step.ts';
import { parsePlatform } from './platforms.ts';
import { type ConfigInstruction, changeConfig, environment, withDefaultPath } from './run-config.ts';
import { runStep } from './run-step.ts';
import type { PlannedStage } from './stage-graph.ts';
import type { StageOutput } from './stage-output.ts';
import { afterStep, type StageState, type StepResult, scratchStateOf, stateOfImage } from './stage-state.ts';
import { ensureDirectory, isDirectory } from './tree-paths.ts';

type Step = Exclude<Instruction, FromInstruction>;

export const shortId = (digest: string): string => digest.slice(digest.indexOf(':') + 1).slice(0, 12);
const nop = (said: string) => `/bin/sh -c #(nop)  ${said}`;

/**
 * Runs the instructions of one stage in order, each on what the one before left.
 * `announce` prints `Step n/m : …`; the id of the last step is left to the caller for the stage that becomes the image.
 */
export async function runStage(
  session: BuildSession,
  planned: PlannedStage,
  output: StageOutput,
  announce: (original: string) => void,
  onFailure: (at: Instruction) => void,
): Promise<StageState> {
  const { stage } = planned;
  const names = stepNames(session, planned);
  const isTarget = stage.index === session.graph.target;
  announce(stage.from.original);
  output.begin(names(stage.from));
  let state = await baseState(session, planned, output);
  const args = new Map<string, string>();
  let cmdSet = false;
  const step = async (instruction: Step) => {
    throwIfAborted(session.signal);
    const place = { stage: stage.index, args, cmdSet, output };
    const result = await runInstruction(session, state, instruction, place).catch((error: unknown) => {
      onFailure(instruction);
      throw error;
    });
    cmdSet ||= instruction.kind === 'CMD';
    state = afterStep(state, result);
  };

  const triggers = state.config.OnBuild ?? [];
  const last = stage.instructions.at(-1);
  if (last !== undefined || triggers.length > 0 || !isTarget) output.text(` ---> ${shortId(state.key)}\n`);
  if (triggers.length > 0) {
    output.text(`# Executing ${triggers.length} build trigger${triggers.length === 1 ? '' : 's'}\n`);
    const { OnBuild, ...config } = state.config;
    state = { ...state, config };
    for (const trigger of triggers) {
      await step(parseTrigger(trigger, `ONBUILD trigger of ${stage.from.image.text}`));
      output.text(` ---> ${shortId(state.key)}\n`);
    }
  }
  for (const instruction of stage.instructions) {
    announce(instruction.original);
    output.begin(names(instruction));
    await step(instruction);
    if (instruction !== last || !isTarget) output.text(` ---> ${shortId(state.key)}\n`);
  }
  output.end();
  return state;
}

/** Names of the steps as BuildKit shows them: `[build 2/5] RUN make`; none for what only changes the configuration. */
function stepNames({ file }: BuildSession, { stage }: PlannedStage) {
  const counted = stage.instructions.filter(({ kind }) => countedKinds.has(kind));
  const label = stage.name ?? (file.stages.length === 1 ? '' : `stage-${stage.index}`);
  const total = counted.length + 1;
  return (instruction: Instruction): string | undefined => {
    const number = instruction.kind === 'FROM' ? 1 : counted.indexOf(instruction) + 2;
    if (instruction.kind !== 'FROM' && number === 1) return undefined;
    return `[${label === '' ? '' : `${label} `}${String(number).padStart(String(total).length)}/${total}] ${instruction.original}`;
  };
}

const countedKinds: ReadonlySet<string> = new Set(['RUN', 'COPY', 'ADD', 'WORKDIR']);

async function baseState(session: BuildSession, planned: PlannedStage, output: StageOutput): Promise<StageState> {
  const { base, platform, exported } = planned;
  const own = platform === undefined || platform.text === '' ? session.platform : platformAt(platform);
  const state = await (async () => {
    switch (base.from) {
      case 'scratch':
        return scratchStateOf(own);
      case 'stage':
        return (await session.stage(base.index)) ?? scratchStateOf(session.platform);
      case 'context':
        throw frameError(
          planned.stage.from.image.span,
          `the named context ${base.name} is a directory; a stage can begin only on an image (docker-image://…)`,
          'unsupported',
        );
      case 'image':
        return stateOfImage(await session.baseImage(base.reference, output, own));
    }
  })();
  const { tree } = state;
  return {
    ...state,
    config: withDefaultPath(state.config),
    tree: exported ? tree : { ...tree, exported: undefined },
  };
}

/** A stage's own `--platform`. @throws GantryError invalid, unsupported, as a code frame */
function platformAt({ text, word }: NonNullable<PlannedStage['platform']>): Platform {
  try {
    return parsePlatform(text);
  } catch (error) {
    throw frameError(word.span, messageOf(error), isGantryError(error) ? error.kind : 'invalid');
  }
}

interface Place {
  readonly stage: number;
  readonly args: Map<string, string>;
  readonly cmdSet: boolean;
  readonly output: StageOutput;
}

async function runInstruction(
  session: BuildSession,
  state: StageState,
  instruction: Step,
  place: Place,
): Promise<StepResult> {
  const env = environment(state.config);
  const lookup: Lookup = (name) => env.get(name) ?? place.args.get(name);
  switch (instruction.kind) {
    case 'RUN':
      return runStep(session, state, instruction, { ...place, lookup });
    case 'COPY':
    case 'ADD':
      return fileStep(session, state, instruction, { stage: place.stage, lookup, output: place.output });
    case 'ARG':
      return recorded(
        session,
        state,
        { said: `ARG ${declare(session, instruction, lookup, place.args)}` },
        place.output,
      );
    case 'MAINTAINER':
      return recorded(
        session,
        state,
        { said: `MAINTAINER ${instruction.name}`, author: instruction.name },
        place.output,
      );
    default: {
      const options = { lookup, escape: session.file.escape, cmdSet: place.cmdSet };
      const change = changeConfig(state.config, instruction satisfies ConfigInstruction, options);
      return instruction.kind === 'WORKDIR'
        ? workdirStep(session, state, change, instruction.original, place)
        : recorded(session, state, change, place.output);
    }
  }
}

/** ARG: gives names their values for the rest of the stage. Returns what the history says. */
function declare(
  session: BuildSession,
  instruction: ArgInstruction,
  lookup: Lookup,
  args: Map<string, string>,
): string {
  return instruction.args
    .map(({ name, value }) => {
      const fallback = value === undefined ? undefined : expandWord(value, lookup, session.file.escape);
      const chosen = session.args.declared(name.text, fallback);
      if (chosen !== undefined) args.set(name.text, chosen);
      return chosen === undefined ? name.text : `${name.text}=${chosen}`;
    })
    .join(' ');
}

/** A step that changes no file. It is kept too, so that building the same again gives the same image. */
export function recorded(
  session: Pick<BuildSession, 'cache' | 'request' | 'epoch'>,
  state: StageState,
  change: { readonly said: string; readonly config?: ImageRunConfig; readonly author?: string },
  output: Pick<StageOutput, 'text'>,
): StepResult {
  const createdBy = nop(change.said);
  const key = cacheKey('config', [state.key, change.config, change.author, createdBy]);
  const known = session.request.noCache ? undefined : session.cache.find(key);
  if (known !== undefined) output.text(' ---> Using cache\n');
  const { epoch } = session;
  const created =
    epoch === undefined ? (known?.created ?? new Date().toISOString()) : new Date(epoch * 1000).toISOString();
  if (known === undefined) session.cache.put(key, { identity: state.tree.identity, created });
  const { config, author } = change;
  return {
    createdBy,
    created,
    ...(config === undefined ? {} : { config }),
    ...(author === undefined ? {} : { author }),
  };
}

/** WORKDIR: a layer only where the directory is not there yet. */
async function workdirStep(
  session: BuildSession,
  state: StageState,
  change: { readonly config: ImageRunConfig; readonly said: string },
  original: string,
  at: Pick<Place, 'stage' | 'output'>,
): Promise<StepResult> {
  const path = change.config.WorkingDir ?? '/';
  const { driver } = session;
  const { layer } = state.tree;
  if (path === '/' || (layer !== undefined && (await hasDirectory(driver, layer, path))))
    return recorded(session, state, change, at.output);
  const make = async ({ diffId }: StepRun) => {
    const root = mountDetached(await driver.mounts(diffId));
    try {
      closeFd(ensureDirectory(root, path, undefined).fd);
    } finally {
      closeFd(root);
    }
  };
  const step = { kind: 'workdir', original, facts: { 'the directory': path } };
  return {
    ...(await keyedStep(session, state, at, step, make)),
    config: change.config,
    createdBy: nop(change.said),
  };
}

async function hasDirectory(driver: BuildSession['driver'], layer: string, path: string): Promise<boolean> {
  const root = mountDetached(await driver.view(layer));
  try {
    return isDirectory(root, path);
  } finally {
    closeFd(root);
  }
}
