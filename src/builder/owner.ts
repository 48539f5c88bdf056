import { frameError, type Word } from '#dockerfile/index.ts';
import { type Owner, readTextInRoot } from './tree-paths.ts';

const largest = 0xfffffffe;

/**
 * Resolves `--chown=user[:group]` against the target tree's own /etc/passwd and /etc/group. A uid without a group
 * gets the same number as gid, as in Docker; a name gets its primary group.
 * @throws GantryError invalid, as a code frame, naming who is not there
 */
export async function resolveOwner(root: number, text: string, word: Word): Promise<Owner> {
  const [user = '', group] = text.split(':', 2);
  const rows = async (path: string) =>
    ((await readTextInRoot(root, path)) ?? '').split('\n').map((line) => line.split(':'));
  const number = (value: string): number | undefined => {
    if (!/^\d+$/.test(value)) return undefined;
    if (Number(value) > largest) throw frameError(word.span, `ids must be in range 0-${largest}, not ${value}`);
    return Number(value);
  };
  const find = async (path: string, name: string) => (await rows(path)).find(([known]) => known === name);
  const absent = (kind: string, name: string, path: string) =>
    frameError(word.span, `unable to convert ${kind} "${name}" of --chown to an id: it is not in the image's ${path}`);

  let uid = user === '' ? 0 : number(user);
  let gid = uid;
  if (uid === undefined) {
    const row = await find('/etc/passwd', user);
    uid = number(row?.[2] ?? '');
    gid = number(row?.[3] ?? '') ?? uid;
    if (uid === undefined) throw absent('user', user, '/etc/passwd');
  }
  if (group !== undefined && group !== '') {
    gid = number(group) ?? number((await find('/etc/group', group))?.[2] ?? '');
    if (gid === undefined) throw absent('group', group, '/etc/group');
  }
  return { uid, gid: gid ?? 0 };
}
