import { useCallback, useEffect, useState } from 'preact/hooks';
import { ask, messageOf } from './hub-api.ts';

export interface Loaded<Data> {
  readonly data: Data | undefined;
  readonly problem: string;
  reload(): Promise<void>;
}

/** What the hub answers to a GET of `path`; asked again when the path changes. Undefined asks nothing. */
export function useLoaded<Data>(path: string | undefined): Loaded<Data> {
  const [state, setState] = useState<{ path: string | undefined; data?: Data; problem: string }>({
    path: undefined,
    problem: '',
  });
  const reload = useCallback(async () => {
    if (path === undefined) return;
    try {
      const data = await ask<Data>('GET', path);
      setState({ path, data, problem: '' });
    } catch (error) {
      setState({ path, problem: messageOf(error) });
    }
  }, [path]);
  useEffect(() => void reload(), [reload]);
  const current = state.path === path;
  return { data: current ? state.data : undefined, problem: current ? state.problem : '', reload };
}

/** Runs what a control starts: once at a time, with its problem kept for showing. True where it went well. */
export function useAction(): {
  readonly busy: boolean;
  readonly problem: string;
  run(action: () => Promise<unknown>): Promise<boolean>;
} {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');
  const run = async (action: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setProblem('');
    try {
      await action();
      return true;
    } catch (error) {
      setProblem(messageOf(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, run };
}

/** The texts of a form's fields, by their names. */
export function textsOf(form: HTMLFormElement): (key: string) => string {
  const data = new FormData(form);
  return (key) => {
    const value = data.get(key);
    return typeof value === 'string' ? value : '';
  };
}
