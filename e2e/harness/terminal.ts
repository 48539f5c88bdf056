import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

export function openTerminal(env: Readonly<Record<string, string>>, columns = 100, rows = 30): Terminal {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-tmux-'));
  const tmux = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('tmux', ['-S', `${directory}/server`, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...env, TMUX: '' },
    });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), 'bash', '--norc', '--noprofile');
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
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
