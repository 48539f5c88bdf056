import { GantryError } from '#errors/index.ts';
import type { Account } from './accounts.ts';
import type { Database } from './database.ts';
import type { Repository } from './repositories.ts';

export interface Comment {
  readonly id: number;
  readonly author: string;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly created: number;
}

export interface Post {
  readonly id: number;
  readonly author: string;
  readonly repository: string;
  readonly tag: string;
  readonly word: string;
  readonly created: number;
  readonly comments: readonly Comment[];
  readonly reactions: readonly { readonly emoji: string; readonly by: readonly string[] }[];
}

/** The reactions there are. */
export const emojis = ['👍', '🎉', '❤️', '🚀', '👀', '😄'] as const;

/** A thread per organisation, such as a class: images that members show one another, with what others say to them. */
export interface Board {
  /** The newest first, at most fifty, older than the post `before`. */
  posts(org: Account, before?: number): Promise<readonly Post[]>;
  /** @throws GantryError not-found (code `post-unknown`) */
  post(org: Account, id: number): Promise<Post>;
  /** @throws GantryError invalid */
  add(org: Account, author: Account, repository: Repository, tag: string, word: string): Promise<Post>;
  /** By its author, or whoever runs the organisation. @throws GantryError not-found */
  remove(org: Account, id: number): Promise<void>;
  /** @throws GantryError not-found, invalid */
  comment(org: Account, id: number, author: Account, text: string): Promise<void>;
  /** The author of a comment. @throws GantryError not-found */
  commentAuthor(org: Account, id: number, comment: number): Promise<string>;
  removeComment(org: Account, id: number, comment: number): Promise<void>;
  /** Sets a reaction, or takes it back where it is there. @throws GantryError not-found, invalid */
  react(org: Account, id: number, by: Account, emoji: string): Promise<void>;
  /** Called with each organisation's id and post's id that changed; ends with the function returned. */
  watch(listener: (org: number, post: number) => void): Promise<() => void>;
}

const perPage = 50;

export function createBoard({ db }: { readonly db: Database }): Board {
  const select = `SELECT p.id, a.name AS author, r.name AS repository, p.tag, p.word, p.created FROM posts p
    JOIN accounts a ON a.id = p.account JOIN repositories r ON r.id = p.repository`;
  const page = db.prepare(`${select} WHERE p.org = ? AND p.id < ? ORDER BY p.id DESC LIMIT ${perPage}`);
  const one = db.prepare(`${select} WHERE p.org = ? AND p.id = ?`);
  const comments = db.prepare(
    'SELECT c.id, a.name AS author, c.text, c.created FROM comments c JOIN accounts a ON a.id = c.account WHERE post = ? ORDER BY c.id',
  );
  const reactions = db.prepare(
    'SELECT emoji, a.name FROM reactions x JOIN accounts a ON a.id = x.account WHERE post = ? ORDER BY emoji, a.name',
  );
  const insert = db.prepare(
    'INSERT INTO posts (org, account, repository, tag, word, created) VALUES (?, ?, ?, ?, ?, ?) RETURNING id',
  );
  const drop = db.prepare('DELETE FROM posts WHERE org = ? AND id = ?');
  const insertComment = db.prepare('INSERT INTO comments (post, account, text, created) VALUES (?, ?, ?, ?)');
  const dropComment = db.prepare('DELETE FROM comments WHERE id = ?');
  const addReaction = db.prepare(
    'INSERT INTO reactions (post, account, emoji) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const dropReaction = db.prepare('DELETE FROM reactions WHERE post = ? AND account = ? AND emoji = ?');

  const tell = async (org: Account, post: number) => db.notify('board', `${org.id} ${post}`);
  const textOf = (text: string, what: string): string => {
    const trimmed = text.trim();
    if (trimmed === '' || trimmed.length > 1000)
      throw new GantryError('invalid', `${what} has 1 to 1000 characters, not ${trimmed.length}`);
    return trimmed;
  };
  const postOf = async (row: Record<string, unknown>): Promise<Post> => {
    const id = Number(row.id);
    const by = new Map<string, string[]>();
    for (const { emoji, name } of await reactions.all(id)) {
      const names = by.get(String(emoji)) ?? [];
      names.push(String(name));
      by.set(String(emoji), names);
    }
    return {
      id,
      author: String(row.author),
      repository: String(row.repository),
      tag: String(row.tag),
      word: String(row.word),
      created: Number(row.created),
      comments: (await comments.all(id)).map((comment) => ({
        id: Number(comment.id),
        author: String(comment.author),
        text: String(comment.text),
        created: Number(comment.created),
      })),
      reactions: [...by].map(([emoji, names]) => ({ emoji, by: names })),
    };
  };
  const post = async (org: Account, id: number): Promise<Post> => {
    const row = await one.get(org.id, id);
    if (row === undefined)
      throw new GantryError('not-found', `the board of ${org.name} has no post ${id}`, { code: 'post-unknown' });
    return await postOf(row);
  };

  return {
    posts: async (org, before = Number.MAX_SAFE_INTEGER) =>
      await Promise.all((await page.all(org.id, before)).map(postOf)),
    post,
    async add(org, author, repository, tag, word) {
      const row = await insert.get(org.id, author.id, repository.id, tag, textOf(word, 'a word about it'), Date.now());
      await tell(org, Number(row?.id));
      return await post(org, Number(row?.id));
    },
    async remove(org, id) {
      await post(org, id);
      await drop.run(org.id, id);
      await tell(org, id);
    },
    async comment(org, id, author, text) {
      await post(org, id);
      await insertComment.run(id, author.id, textOf(text, 'a comment'), Date.now());
      await tell(org, id);
    },
    async commentAuthor(org, id, comment) {
      const found = (await post(org, id)).comments.find((candidate) => candidate.id === comment);
      if (found === undefined) throw new GantryError('not-found', `the post ${id} has no comment ${comment}`);
      return found.author;
    },
    async removeComment(org, id, comment) {
      await dropComment.run(comment);
      await tell(org, id);
    },
    async react(org, id, by, emoji) {
      if (!emojis.some((known) => known === emoji))
        throw new GantryError('invalid', `"${emoji.slice(0, 20)}" is not a reaction: ${emojis.join(' ')}`);
      await post(org, id);
      if ((await dropReaction.run(id, by.id, emoji)) === 0) await addReaction.run(id, by.id, emoji);
      await tell(org, id);
    },
    watch: (listener) =>
      db.listen('board', (text) => {
        const [org, post] = text.split(' ', 2).map(Number);
        if (org !== undefined && post !== undefined) listener(org, post);
      }),
  };
}
