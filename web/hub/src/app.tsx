import { useEffect, useRef } from 'preact/hooks';
import mark from './gantry.svg';
import { ask } from './hub-api.ts';
import type { Session } from './hub-types.ts';
import { useLoaded } from './loading.ts';
import { go, type Place, usePlace } from './navigation.ts';
import { AccountPage } from './pages/account-page.tsx';
import { AdminPage } from './pages/admin-page.tsx';
import { BoardPage } from './pages/board-page.tsx';
import { HomePage } from './pages/home-page.tsx';
import { JoinPage } from './pages/join-page.tsx';
import { NewPage } from './pages/new-page.tsx';
import { RepositoryPage } from './pages/repository-page.tsx';
import { SearchPage } from './pages/search-page.tsx';
import { SettingsPage } from './pages/settings-page.tsx';
import { SignInPage, SignUpPage } from './pages/sign-pages.tsx';
import { TokensPage } from './pages/tokens-page.tsx';
import { Announcer } from './parts/announcer.tsx';
import { Problem } from './parts/problem.tsx';
import { SessionProvider, useSession } from './session.ts';

/** The whole page: its head, and the page that the address names. */
export function App() {
  const place = usePlace();
  const { data: session, problem, reload } = useLoaded<Session>('session');
  return (
    <>
      <a class="skip" href="#content">
        Skip to content
      </a>
      {session === undefined ? (
        <main>
          <Problem text={problem} />
        </main>
      ) : (
        <SessionProvider value={{ session, reload }}>
          <Head search={place.query.get('q') ?? ''} />
          <Content place={place} />
        </SessionProvider>
      )}
      <Announcer />
    </>
  );
}

function Head({ search }: { readonly search: string }) {
  const { session, reload } = useSession();
  const { account, signUp } = session;
  const signOut = async () => {
    await ask('DELETE', 'session');
    await reload();
    go('/');
  };
  return (
    <header>
      <a class="brand" href="/">
        <img src={mark} alt="" width="28" height="28" /> Gantry Hub
      </a>
      <search>
        <form
          class="find"
          onSubmit={(event) => {
            event.preventDefault();
            const text = new FormData(event.currentTarget).get('q');
            go(`/search?${new URLSearchParams({ q: String(text ?? '') })}`);
          }}
        >
          <input
            type="search"
            name="q"
            key={search}
            defaultValue={search}
            aria-label="Search repositories"
            placeholder="Search"
          />
        </form>
      </search>
      <nav aria-label="Account">
        {account === null ? (
          <>
            <a href="/sign-in">Sign in</a>
            {signUp === 'open' && <a href="/sign-up">Sign up</a>}
          </>
        ) : (
          <>
            {account.admin && <a href="/admin">Admin</a>}
            <a href="/tokens">Tokens</a>
            <a href="/settings">Settings</a>
            <span>
              Signed in as <a href={`/${account.name}`}>{account.name}</a>
            </span>
            <button type="button" onClick={() => void signOut()}>
              Sign out
            </button>
          </>
        )}
      </nav>
    </header>
  );
}

const pages: Readonly<Record<string, (props: { readonly place: Place }) => preact.JSX.Element>> = {
  '': HomePage,
  'sign-in': SignInPage,
  'sign-up': SignUpPage,
  join: JoinPage,
  search: SearchPage,
  settings: SettingsPage,
  tokens: TokensPage,
  new: NewPage,
  admin: AdminPage,
};

function Content({ place }: { readonly place: Place }) {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  // A page that comes without loading is told to people who listen, as one that loads is.
  useEffect(() => {
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [place.path]);
  const [one = '', ...rest] = place.path.split('/').filter((part) => part !== '');
  const Page = Object.hasOwn(pages, one) && rest.length === 0 ? pages[one] : undefined;
  return (
    <main id="content" ref={main} tabIndex={-1}>
      {Page !== undefined ? (
        <Page place={place} />
      ) : one === 'board' && rest[0] !== undefined ? (
        <BoardPage key={rest[0]} org={rest[0]} />
      ) : rest.length === 0 ? (
        <AccountPage key={one} name={one} tab={place.query.get('tab') ?? 'repositories'} />
      ) : (
        <RepositoryPage key={place.path} name={[one, ...rest].join('/')} query={place.query} />
      )}
    </main>
  );
}
