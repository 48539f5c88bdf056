import { GantryError } from '#errors/index.ts';
import type { Hook, HookKind, RuntimeSpec, State } from '#oci/index.ts';
import { exactJson } from '#oci/index.ts';
import type { PlanStep } from './plan.ts';

/** What of a container's state is known before it is there; the pid is not. */
export interface Subject {
  readonly id: string;
  readonly bundle: string;
}

/** Stands for the pid until the launcher knows it: no other part of a state can hold it, since strings are quoted. */
const pidMark = 4_294_967_295;

/** The texts of a JSON document between which the pid stands. */
export const aroundPid = (document: (pid: number) => unknown): readonly string[] =>
  exactJson(document(pidMark)).split(new RegExp(`(?<="pid":)${pidMark}`));

/** runtime-spec: runtime.md#state */
export function stateOf(
  spec: Pick<RuntimeSpec, 'ociVersion' | 'annotations'>,
  subject: Subject,
  status: State['status'],
  pid: number,
): State {
  const { ociVersion, annotations = {} } = spec;
  return { ociVersion, id: subject.id, status, pid, bundle: subject.bundle, annotations };
}

/** Which status a hook of the launcher is told. */
const statuses = {
  prestart: 'creating',
  createRuntime: 'creating',
  createContainer: 'creating',
  startContainer: 'created',
} as const;

export function checkHook(kind: HookKind, { path, timeout }: Hook): void {
  if (!path.startsWith('/')) throw new GantryError('invalid', `hook ${kind} "${path}": the path must be absolute`);
  if (timeout !== undefined && timeout <= 0)
    throw new GantryError('invalid', `hook ${kind} ${path}: the timeout ${timeout} must be above 0 seconds`);
}

/**
 * The hooks of one kind as operations: those of the runtime's namespaces are the parent's (`runtime-hook`), the others run
 * where they stand in the plan.
 * @throws GantryError invalid for a path or timeout that cannot be, or where nobody said whose container it is
 */
export function hookSteps(
  spec: RuntimeSpec,
  kind: keyof typeof statuses,
  subject: Subject | undefined,
): readonly PlanStep[] {
  const hooks = spec.hooks?.[kind] ?? [];
  if (hooks.length === 0) return [];
  if (subject === undefined) throw new GantryError('internal', `hook ${kind}: the container has no id and bundle`);
  const [before = '', after = ''] = aroundPid((pid) => stateOf(spec, subject, statuses[kind], pid));
  const name = kind === 'prestart' || kind === 'createRuntime' ? 'runtime-hook' : 'hook';
  return hooks.map((hook) => {
    checkHook(kind, hook);
    const milliseconds = Math.ceil((hook.timeout ?? 0) * 1000);
    return {
      name,
      args: [hook.path, hook.args ?? [], hook.env ?? [], milliseconds, before, after],
      about: `running the ${kind} hook ${hook.path}`,
    };
  });
}
