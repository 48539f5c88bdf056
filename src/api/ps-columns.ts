import type { ProcessRow } from '#engine/index.ts';
import { GantryError } from '#errors/index.ts';

interface Column {
  readonly title: string;
  readonly show: (row: ProcessRow) => string;
}

const kibibytes = (bytes: number) => String(Math.floor(bytes / 1024));
const nothing = (text: string) => () => text;

/** What `ps -o` calls each column, with its title (ps(1)). */
const known: Readonly<Record<string, Column>> = {
  pid: { title: 'PID', show: ({ pid }) => String(pid) },
  ppid: { title: 'PPID', show: ({ ppid }) => String(ppid) },
  user: { title: 'USER', show: ({ user }) => user },
  uid: { title: 'UID', show: ({ user }) => user },
  comm: { title: 'COMMAND', show: ({ name }) => name },
  args: { title: 'COMMAND', show: ({ command }) => command },
  command: { title: 'COMMAND', show: ({ command }) => command },
  cmd: { title: 'CMD', show: ({ command }) => command },
  time: { title: 'TIME', show: ({ time }) => time },
  stat: { title: 'STAT', show: ({ state }) => state },
  s: { title: 'S', show: ({ state }) => state },
  ni: { title: 'NI', show: ({ nice }) => String(nice) },
  nice: { title: 'NI', show: ({ nice }) => String(nice) },
  rss: { title: 'RSS', show: ({ residentBytes }) => kibibytes(residentBytes) },
  vsz: { title: 'VSZ', show: ({ virtualBytes }) => kibibytes(virtualBytes) },
};

const full: readonly (Column | undefined)[] = [
  known.uid,
  known.pid,
  known.ppid,
  { title: 'C', show: nothing('0') },
  { title: 'STIME', show: nothing('') },
  { title: 'TTY', show: nothing('?') },
  known.time,
  known.cmd,
];

/**
 * The columns that `docker top CONTAINER [ps options]` asks for: `-ef`, or `-o` with a list that has the pid among them.
 * @throws GantryError unsupported for other options, invalid for a list without the pid
 */
export function psColumns(options: string | undefined): readonly Column[] {
  if (!options || options === '-ef') return full.filter((column) => column !== undefined);
  const list = /^-?(?:e|ax)?\s*-?o\s*([\w,\s]+)$/.exec(options.replaceAll(/\s+-o\s*/g, ' -o'))?.[1];
  const names = list?.split(/[\s,]+/).filter((name) => name !== '');
  if (names === undefined)
    throw new GantryError(
      'unsupported',
      `top with the ps options "${options}" is not supported; use -ef or -o with a list`,
    );
  if (!names.includes('pid')) throw new GantryError('invalid', `Couldn't find PID field in ps output of "${options}"`);
  return names.map((name) => {
    const column = Object.hasOwn(known, name) ? known[name] : undefined;
    if (column === undefined)
      throw new GantryError(
        'unsupported',
        `top with the ps column "${name}" is not supported; known are ${Object.keys(known).join(', ')}`,
      );
    return column;
  });
}
