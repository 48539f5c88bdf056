import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Session } from './hub-types.ts';

export interface SessionContext {
  readonly session: Session;
  reload(): Promise<void>;
}

export const SessionProvider = createContext<SessionContext>({
  session: { account: null, signUp: 'closed' },
  reload: () => Promise.resolve(),
});

export const useSession = (): SessionContext => useContext(SessionProvider);
