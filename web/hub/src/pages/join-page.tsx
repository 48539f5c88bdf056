import { ask } from '../hub-api.ts';
import { useAction } from '../loading.ts';
import { go, type Place } from '../navigation.ts';
import { Problem } from '../parts/problem.tsx';
import { useSession } from '../session.ts';
import { useTitle } from '../title.ts';

/** Where an invitation's link leads: with an account one joins, without one it is made first. */
export function JoinPage({ place }: { readonly place: Place }) {
  useTitle('Invitation');
  const { session, reload } = useSession();
  const { busy, problem, run } = useAction();
  const code = place.query.get('code') ?? '';
  const accept = async () => {
    if (!(await run(() => ask('POST', 'invitation', { code })))) return;
    await reload();
    go('/');
  };
  const back = `/join?${new URLSearchParams({ code })}`;
  return (
    <section class="card narrow">
      <h1>You are invited</h1>
      <Problem text={problem} />
      {session.account === null ? (
        <>
          <p>Make an account to join, or sign in with the one you have.</p>
          <div class="row">
            <a class="button primary" href={`/sign-up?${new URLSearchParams({ invitation: code })}`}>
              Make an account
            </a>
            <a class="button" href={`/sign-in?${new URLSearchParams({ next: back })}`}>
              Sign in
            </a>
          </div>
        </>
      ) : (
        <button type="button" class="primary" disabled={busy} onClick={() => void accept()}>
          Join as {session.account.name}
        </button>
      )}
    </section>
  );
}
