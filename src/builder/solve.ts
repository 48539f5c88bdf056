import { type Dockerfile, frameError, type Instruction } from '#dockerfile/index.ts';
import { GantryError, isGantryError, messageOf, throwIfAborted } from '#errors/index.ts';
import type { Images } from '#images/index.ts';
import { createBaseImages } from './base-images.ts';
import { readBuildArgs } from './build-args.ts';
import type { BuildSession } from './build-session.ts';
import type { BuildEvent } from './builder.ts';
import { planStages } from './stage-graph.ts';
import { orderStages } from './stage-output.ts';
import { recorded, runStage, shortId } from './stage-run.ts';
import { afterStep, type StageState } from './stage-state.ts';

export type Emit = (event: BuildEvent) => void;

type Solvable = Omit<BuildSession, 'graph' | 'args' | 'baseImage' | 'stage' | 'ignoresCache' | 'signal'> & {
  readonly images: Images;
};

export interface Solved {
  /** The images it stands on. */
  readonly bases: readonly { readonly reference: string; readonly digest: string }[];
  readonly target: StageState;
  readonly others: readonly StageState[];
}

/**
 * Builds the target stage and the stages it needs; those that do not wait for each other run at once. The first
 * failure stops the others, and is what is thrown once they have all stopped.
 */
export async function solve({ images, ...given }: Solvable, emit: Emit, outer: AbortSignal): Promise<Solved> {
  const { file, request, platform, holds } = given;
  checkSyntax(file);
  const args = readBuildArgs(file, request.buildArgs, platform, request.target);
  const graph = planStages(file, args.global, request);
  const failed = new AbortController();
  const signal = AbortSignal.any([outer, failed.signal]);
  const running = new Map<number, Promise<StageState>>();
  const bases = new Map<string, string>();
  const baseImage = createBaseImages(images, request, platform, holds.keys, signal);
  const session: BuildSession = {
    ...given,
    graph,
    args,
    baseImage: async (reference, ...more) => {
      const image = await baseImage(reference, ...more);
      bases.set(reference, image.manifest.digest);
      return image;
    },
    stage: (index) => running.get(index),
    ignoresCache: (index) => request.noCache || isNamed(request.noCacheStages, file.stages[index]?.name, index),
    signal,
  };

  const labels = Object.entries(request.labels);
  const total =
    file.globalArgs.length +
    graph.stages.reduce((sum, { stage }) => sum + 1 + stage.instructions.length, 0) +
    (labels.length > 0 ? 1 : 0);
  let number = 0;
  for (const arg of file.globalArgs) emit({ stream: `Step ${++number}/${total} : ${arg.original}\n` });

  const output = orderStages(
    graph.stages.map(({ stage }) => stage.index),
    emit,
  );
  let firstFailure: { readonly error: unknown } | undefined;
  for (const planned of graph.stages) {
    const { index, instructions } = planned.stage;
    let step = number;
    number += 1 + instructions.length;
    const own = output.stage(index);
    let failedAt: Instruction | undefined;
    const work = async () => {
      try {
        const announce = (original: string) => own.text(`Step ${++step}/${total} : ${original}\n`);
        const state = await runStage(session, planned, own, announce, (instruction) => {
          failedAt = instruction;
        });
        output.finish(index);
        return state;
      } catch (error) {
        if (firstFailure === undefined) {
          firstFailure = { error };
          output.fail(index, shownFailure(error, failedAt));
          failed.abort(error);
        }
        throw error;
      }
    };
    const stage = work();
    stage.catch(() => undefined);
    running.set(index, stage);
  }
  await Promise.allSettled(running.values());
  throwIfAborted(outer);
  if (firstFailure !== undefined) throw firstFailure.error;
  const target = await running.get(graph.target);
  if (target === undefined) throw new GantryError('internal', 'the target stage was never run');

  let state = target;
  if (labels.length > 0) {
    const said = `LABEL ${labels.map(([key, value]) => `${key}=${value}`).join(' ')}`;
    emit({ stream: ` ---> ${shortId(state.key)}\nStep ${total}/${total} : ${said}\n` });
    const config = { ...state.config, Labels: { ...state.config.Labels, ...request.labels } };
    state = afterStep(state, recorded(session, state, { said, config }, { text: (text) => emit({ stream: text }) }));
  }
  if (args.unconsumed.length > 0)
    emit({ stream: `[Warning] One or more build-args [${args.unconsumed.join(' ')}] were not consumed\n` });
  const others = graph.stages.flatMap(({ stage }) => (stage.index === graph.target ? [] : stage.index));
  return {
    bases: Array.from(bases, ([reference, digest]) => ({ reference, digest })),
    target: state,
    others: await Promise.all(others.map((index) => running.get(index) ?? state)),
  };
}

/** A failure is shown where its instruction stands in the Dockerfile, if it does not say so itself. */
function shownFailure(error: unknown, at: Instruction | undefined): string {
  const message = isGantryError(error) && error.code === 'step-failed' ? messageOf(error.cause) : messageOf(error);
  return at === undefined || message.includes('\n') ? message : frameError(at.span, message).message;
}

/** Whether `--no-cache-filter` names a stage; an empty name there stands for all. */
const isNamed = (names: readonly string[] | undefined, name: string | undefined, index: number): boolean =>
  names?.some((one) => one === '' || one.toLowerCase() === name || one === String(index)) ?? false;

/** `# syntax=` names a frontend; Docker's own is what this builder understands, any version of it. */
function checkSyntax(file: Dockerfile): void {
  const syntax = file.directives.find((directive) => directive.name === 'syntax');
  if (syntax !== undefined && !/^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@]\S+)?$/.test(syntax.value))
    throw frameError(
      syntax.span,
      `the frontend "${syntax.value}" is not supported; only docker/dockerfile is`,
      'unsupported',
    );
}
