import { Avatar } from '../parts/avatar.tsx';
import { Command } from '../parts/command.tsx';
import { RepositoryList } from '../parts/repository-list.tsx';
import { useSession } from '../session.ts';
import { useTitle } from '../title.ts';

/** The first page: one's own things where somebody is signed in, and what everyone may pull. */
export function HomePage() {
  useTitle('');
  const { account, signUp } = useSession().session;
  return (
    <>
      {account === null ? (
        <section class="hero">
          <h1>Images, shared with the people you work with</h1>
          <p>Push an image, post it on your class board, and anyone there runs it with one line.</p>
          <div class="row">
            <a class="button primary" href="/sign-in">
              Sign in to share
            </a>
            {signUp === 'open' && (
              <a class="button" href="/sign-up">
                Make an account
              </a>
            )}
          </div>
        </section>
      ) : (
        <>
          <h1 class="visually-hidden">Home</h1>
          <section aria-labelledby="boards">
            <div class="row">
              <h2 id="boards">My classes and organisations</h2>
              <a class="end grow" href="/new">
                New
              </a>
            </div>
            {account.organisations.length === 0 ? (
              <p class="hint">None yet. Make one for your class or team, or open an invitation link.</p>
            ) : (
              <ul class="tiles">
                {account.organisations.map(({ name, role }) => (
                  <li key={name} class="card tile">
                    <Avatar name={name} />
                    <span>
                      <a href={`/${name}`}>{name}</a>
                      <span class="facts"> {role}</span>
                      <br />
                      <a href={`/board/${name}`}>Board of {name}</a>
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </section>
          <section aria-labelledby="mine">
            <h2 id="mine">My repositories</h2>
            <RepositoryList query={{ of: 'me' }} empty="Nothing yet. Push an image:" />
            <details>
              <summary>How to push</summary>
              <Command text={`gantry login ${location.host}`} />
              <Command text={`gantry push ${location.host}/${account.name}/NAME:TAG`} />
            </details>
          </section>
        </>
      )}
      <section aria-labelledby="public">
        <h2 id="public">Public repositories</h2>
        <RepositoryList query={{ of: 'all' }} empty="There are none yet." />
      </section>
    </>
  );
}
