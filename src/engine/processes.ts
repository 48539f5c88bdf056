import { readFile, stat } from 'node:fs/promises';
import type { ProcessRow } from './engine.ts';

/** x86-64's and most arm64 kernels'. */
const pageSize = 4096;

/** One process as `top` shows it; undefined where it ended meanwhile (proc_pid_stat(5)). Times in hours:minutes:seconds. */
export async function readProcess(pid: number): Promise<ProcessRow | undefined> {
  const [statText, cmdline, owner] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/cmdline`, 'utf8'),
    stat(`/proc/${pid}`),
  ]).catch(() => []);
  if (statText === undefined || cmdline === undefined || owner === undefined) return undefined;
  const fields = statText.slice(statText.lastIndexOf(')') + 2).split(' ');
  const seconds = Math.floor((Number(fields[11]) + Number(fields[12])) / 100);
  const two = (n: number) => String(n).padStart(2, '0');
  const name = statText.slice(statText.indexOf('('), statText.lastIndexOf(')') + 1);
  return {
    pid,
    ppid: Number(fields[1]),
    user: String(owner.uid),
    name: name.slice(1, -1),
    state: fields[0] ?? '?',
    nice: Number(fields[16]),
    residentBytes: Number(fields[21]) * pageSize,
    virtualBytes: Number(fields[20]),
    command: cmdline.replaceAll('\0', ' ').trim() || name,
    time: `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`,
  };
}
