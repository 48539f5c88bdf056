import type { Process } from '#oci/index.ts';
import type { PlanStep } from '../plan.ts';
import { commandOf } from '../process-steps.ts';

export interface OwnSteps {
  readonly process: Process;
  /** The session keyring to join; undefined to stay in ours (`--no-new-keyring`). */
  readonly keyring: string | undefined;
  /** `--no-pivot` */
  readonly noPivot?: boolean;
  /** For a user who is not root. */
  readonly rootless?: boolean;
}

/**
 * A plan with what callers of a runtime program count on besides the specification: a session keyring of the
 * container's own, and a command that cannot be run told by `create`, before anything waits for the start.
 */
export function withOwnSteps(
  steps: readonly PlanStep[],
  { process, keyring, noPivot, rootless }: OwnSteps,
): readonly PlanStep[] {
  const { candidates } = commandOf(process);
  return steps.flatMap((step): readonly PlanStep[] => {
    if (step.name === 'pivot' && noPivot) return [{ ...step, name: 'chroot' }];
    // A user's namespaces forbid setgroups(2): groups stay what they were, and mean nothing inside but the one that is mapped.
    if (step.name === 'groups' && rootless) return [];
    if (step.name !== 'ready') return [step];
    return [
      ...(keyring === undefined
        ? []
        : [{ name: 'keyring' as const, args: [keyring], about: `joining the session keyring ${keyring}` }]),
      { name: 'lookup', args: [candidates, process.args[0] ?? ''] },
      step,
    ];
  });
}
