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

/** A number of passwd(5) or group(5). @throws GantryError invalid: a broken line must not make anybody root */
function idOf(text: string | undefined, about: string): number {
  const id = text === undefined ? undefined : number(text);
  if (id === undefined) throw new GantryError('invalid', `the id of ${about} is "${text ?? ''}", which is no number`);
  return id;
}

/**
 * Resolves `USER` against the image's own passwd(5) and group(5): `name`, `uid`, `name:group`, `uid:gid`. Without a
 * group, the user's own and every group that lists it. A number need not be listed; a name must. What looks like a number
 * is one, whatever the image calls its users: `1000` is never a root that goes by that name (CVE-2026-46680).
 * @throws GantryError invalid, naming the user or group
 */
export function resolveUser(
  user: string,
  passwd: string,
  group: string,
  groupAdd: readonly string[] = [],
): ResolvedUser {
  const [userPart = '', groupPart, more] = user.split(':');
  if (more !== undefined) throw new GantryError('invalid', `"${user}" is not a user: use name|uid[:group|gid]`);
  const wanted = userPart === '' ? '0' : userPart;
  const users = rows(passwd);
  const groups = rows(group);
  const numeric = number(wanted);
  const entry = users.find(([name, , uid]) => (numeric === undefined ? name === wanted : uid === String(numeric)));
  if (entry === undefined && numeric === undefined)
    throw new GantryError('invalid', `unable to find user ${wanted}: no matching entries in passwd file`, {
      code: 'user-not-found',
    });
  const gidOf = (name: string): number => {
    const gid = number(name);
    if (gid !== undefined) return gid;
    const row = groups.find(([known]) => known === name);
    if (row === undefined)
      throw new GantryError('invalid', `unable to find group ${name}: no matching entries in group file`, {
        code: 'group-not-found',
      });
    return idOf(row[2], `group ${name}`);
  };
  const name = entry?.[0];
  const explicit = groupPart !== undefined && groupPart !== '';
  const supplementary =
    explicit || name === undefined
      ? []
      : groups
          .filter(([, , , members]) => members?.split(',').includes(name))
          .map(([known, , gid]) => idOf(gid, `group ${known}`));
  const gid = explicit ? gidOf(groupPart) : entry === undefined ? 0 : idOf(entry[3], `the group of user ${wanted}`);
  return {
    uid: numeric ?? idOf(entry?.[2], `user ${wanted}`),
    gid,
    // With its own group among them: a setgid program must not be able to drop it (CVE-2022-36109).
    additionalGids: [...new Set([gid, ...supplementary, ...groupAdd.map(gidOf)])],
    home: entry?.[5] || '/',
  };
}
