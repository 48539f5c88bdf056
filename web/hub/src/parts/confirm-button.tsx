import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { useAction } from '../loading.ts';
import { Problem } from './problem.tsx';

/** A button whose effect cannot be taken back: it asks once more, in its place. */
export function ConfirmButton({
  children,
  label,
  action,
}: {
  readonly children: ComponentChildren;
  /** The whole of what it does, for people who hear only the button. */
  readonly label: string;
  readonly action: () => Promise<unknown>;
}) {
  const [asking, setAsking] = useState(false);
  const { busy, problem, run } = useAction();
  const sure = async () => {
    if (await run(action)) setAsking(false);
  };
  return (
    <>
      {asking ? (
        <span class="confirm">
          <button
            type="button"
            class="danger"
            disabled={busy}
            aria-label={`Yes, do it: ${label}`}
            onClick={() => void sure()}
          >
            Yes, do it
          </button>
          <button type="button" aria-label={`No: do not ${label}`} onClick={() => setAsking(false)}>
            No
          </button>
        </span>
      ) : (
        <button type="button" class="danger" aria-label={label} onClick={() => setAsking(true)}>
          {children}
        </button>
      )}
      <Problem text={problem} />
    </>
  );
}
