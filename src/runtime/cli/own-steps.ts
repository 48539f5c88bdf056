import type { Process } from '#oci/index.ts';
import type { PlanStep } from '../plan.ts';
import { commandOf } from '../process-steps.ts';

export interface OwnSteps {
  readonly process: Process;
  /** The session keyring to join; undefined to stay in ours (`--no-new-keyring`). */
  readonly keyring: string | undefined;
  /** `--no-pivot` */
  readonly noPivot?: boolean;
}

/**
 * A plan with what callers of a runtime program count on besides the specification: a session keyring of the
 * container's own, and a command that cannot be run told by `create`, before anything waits for the start.
 */
export function withOwnSteps(steps: readonly PlanStep[], { process, keyring, noPivot }: OwnSteps): readonly PlanStep[] {
  const { candidates } = commandOf(process);
  return steps.flatMap((step): readonly PlanStep[] => {
    if (step.name === 'pivot' && noPivot) return [{ ...step, name: 'chroot' }];
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
