import { GantryError } from '#errors/index.ts';

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

const rows = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));

const number = (text: string): number | undefined => {
  if (!/^\d+$/.test(text)) return undefined;
  const value = Number(text);
  if (value > 0xfffffffe) throw new GantryError('invalid', `uids and gids must be in range 0-4294967294, not ${text}`);
  return value;
};

/**
 * Resolves `USER` against the image's own passwd(5) and group(5): `name`, `uid`, `name:group`, `uid:gid`. Without a
 * group, the user's own and every group that lists it. A number need not be listed; a name must.
 * @throws GantryError invalid, naming the user or group
 */
export function resolveUser(
  user: string,
  passwd: string,
  group: string,
  groupAdd: readonly string[] = [],
): ResolvedUser {
  const [userPart = '', groupPart] = user.split(':', 2);
  const wanted = userPart === '' ? '0' : userPart;
  const users = rows(passwd);
  const groups = rows(group);
  const numeric = number(wanted);
  const entry =
    users.find(([name]) => name === wanted) ??
    users.find(([, , uid]) => numeric !== undefined && uid === String(numeric));
  if (entry === undefined && numeric === undefined)
    throw new GantryError('invalid', `unable to find user ${wanted}: no matching entries in passwd file`, {
      code: 'user-not-found',
    });
  const gidOf = (name: string): number => {
    const row = groups.find(([known]) => known === name);
    const gid = row?.[2] === undefined ? number(name) : number(row[2]);
    if (gid === undefined)
      throw new GantryError('invalid', `unable to find group ${name}: no matching entries in group file`, {
        code: 'group-not-found',
      });
    return gid;
  };
  const name = entry?.[0];
  const explicit = groupPart !== undefined && groupPart !== '';
  const supplementary =
    explicit || name === undefined
      ? []
      : groups
          .filter(([, , , members]) => members?.split(',').includes(name))
          .flatMap(([, , gid]) => number(gid ?? '') ?? []);
  const gid = explicit ? gidOf(groupPart) : (number(entry?.[3] ?? '') ?? 0);
  return {
    uid: number(entry?.[2] ?? '') ?? numeric ?? 0,
    gid,
    // With its own group among them: a setgid program must not be able to drop it (CVE-2022-36109).
    additionalGids: [...new Set([gid, ...supplementary, ...groupAdd.map(gidOf)])],
    home: entry?.[5] || '/',
  };
}
