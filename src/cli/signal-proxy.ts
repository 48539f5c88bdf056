const proxied = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGTERM',
  'SIGCONT',
  'SIGTSTP',
] as const;

/** Passes signals that this program gets on to a process instead of obeying them; returns how to stop. */
export function proxySignals(pass: (signal: string) => Promise<unknown>): () => void {
  const handlers = proxied.map((signal) => {
    // The process may be gone already; the session's end tells.
    const handler = () => void pass(signal).catch(() => {});
    process.on(signal, handler);
    return [signal, handler] as const;
  });
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}
