import { spawnSync } from 'node:child_process';
import { until } from './program.ts';

/** A real terminal (tmux, on a server of its own) that runs a shell with this environment. */
export interface Terminal extends Disposable {
  /** Types text; `\n` is Enter. */
  type(text: string): void;
  /** A key by tmux's name, e.g. `C-c`. */
  key(name: string): void;
  resize(columns: number, rows: number): void;
  screen(): string;
  /** Waits until the screen fits; returns it. */
  shows(pattern: RegExp): Promise<string>;
}

let count = 0;

export function openTerminal(env: Readonly<Record<string, string>>, columns = 100, rows = 30): Terminal {
  let server = `gantry-test-${process.pid}-${count++}`;
  const tmux = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('tmux', ['-L', server, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...env, TMUX: '' },
    });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const begin = () =>
    tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), 'bash', '--norc', '--noprofile');
  try {
    begin();
  } catch {
    // tmux's own server ends now and then before it has begun, on a busy machine: another is asked.
    server = `gantry-test-${process.pid}-${count++}`;
    begin();
  }
  const screen = () => tmux('capture-pane', '-p', '-S', '-');
  return {
    type(text) {
      for (const [index, line] of text.split('\n').entries()) {
        if (index > 0) tmux('send-keys', 'Enter');
        if (line !== '') tmux('send-keys', '-l', line);
      }
    },
    key: (name) => void tmux('send-keys', name),
    resize: (c, r) => void tmux('resize-window', '-x', String(c), '-y', String(r)),
    screen,
    async shows(pattern) {
      try {
        return await until(() => (pattern.test(screen()) ? screen() : undefined));
      } catch (error) {
        throw new Error(`the terminal never showed ${pattern}:\n${screen()}`, { cause: error });
      }
    },
    [Symbol.dispose]() {
      tmux('kill-server');
    },
  };
}
