import type { DatabaseSync } from 'node:sqlite';
import { GantryError } from '#errors/index.ts';
import type { Account } from './accounts.ts';
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
  posts(org: Account, before?: number): readonly Post[];
  /** @throws GantryError not-found (code `post-unknown`) */
  post(org: Account, id: number): Post;
  /** @throws GantryError invalid */
  add(org: Account, author: Account, repository: Repository, tag: string, word: string): Post;
  /** By its author, or whoever runs the organisation. @throws GantryError not-found */
  remove(org: Account, id: number): void;
  /** @throws GantryError not-found, invalid */
  comment(org: Account, id: number, author: Account, text: string): void;
  /** The author of a comment. @throws GantryError not-found */
  commentAuthor(org: Account, id: number, comment: number): string;
  removeComment(org: Account, id: number, comment: number): void;
  /** Sets a reaction, or takes it back where it is there. @throws GantryError not-found, invalid */
  react(org: Account, id: number, by: Account, emoji: string): void;
  /** Called with each organisation's id and post's id that changed; ends with the function returned. */
  watch(listener: (org: number, post: number) => void): () => void;
}

const perPage = 50;

export function createBoard({ db }: { readonly db: DatabaseSync }): Board {
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
    'INSERT INTO posts (org, account, repository, tag, word, created) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const drop = db.prepare('DELETE FROM posts WHERE org = ? AND id = ?');
  const insertComment = db.prepare('INSERT INTO comments (post, account, text, created) VALUES (?, ?, ?, ?)');
  const dropComment = db.prepare('DELETE FROM comments WHERE id = ?');
  const addReaction = db.prepare('INSERT INTO reactions (post, account, emoji) VALUES (?, ?, ?)');
  const dropReaction = db.prepare('DELETE FROM reactions WHERE post = ? AND account = ? AND emoji = ?');
  const listeners = new Set<(org: number, post: number) => void>();

  const tell = (org: Account, post: number) => {
    for (const listener of listeners) listener(org.id, post);
  };
  const textOf = (text: string, what: string): string => {
    const trimmed = text.trim();
    if (trimmed === '' || trimmed.length > 1000)
      throw new GantryError('invalid', `${what} has 1 to 1000 characters, not ${trimmed.length}`);
    return trimmed;
  };
  const postOf = (row: Record<string, unknown>): Post => {
    const id = Number(row.id);
    const by = new Map<string, string[]>();
    for (const { emoji, name } of reactions.all(id)) {
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
      comments: comments.all(id).map((comment) => ({
        id: Number(comment.id),
        author: String(comment.author),
        text: String(comment.text),
        created: Number(comment.created),
      })),
      reactions: [...by].map(([emoji, names]) => ({ emoji, by: names })),
    };
  };
  const post = (org: Account, id: number): Post => {
    const row = one.get(org.id, id);
    if (row === undefined)
      throw new GantryError('not-found', `the board of ${org.name} has no post ${id}`, { code: 'post-unknown' });
    return postOf(row);
  };

  return {
    posts: (org, before = Number.MAX_SAFE_INTEGER) => page.all(org.id, before).map(postOf),
    post,
    add(org, author, repository, tag, word) {
      const { lastInsertRowid } = insert.run(
        org.id,
        author.id,
        repository.id,
        tag,
        textOf(word, 'a word about it'),
        Date.now(),
      );
      tell(org, Number(lastInsertRowid));
      return post(org, Number(lastInsertRowid));
    },
    remove(org, id) {
      post(org, id);
      drop.run(org.id, id);
      tell(org, id);
    },
    comment(org, id, author, text) {
      post(org, id);
      insertComment.run(id, author.id, textOf(text, 'a comment'), Date.now());
      tell(org, id);
    },
    commentAuthor(org, id, comment) {
      const found = post(org, id).comments.find((candidate) => candidate.id === comment);
      if (found === undefined) throw new GantryError('not-found', `the post ${id} has no comment ${comment}`);
      return found.author;
    },
    removeComment(org, id, comment) {
      dropComment.run(comment);
      tell(org, id);
    },
    react(org, id, by, emoji) {
      if (!emojis.some((known) => known === emoji))
        throw new GantryError('invalid', `"${emoji.slice(0, 20)}" is not a reaction: ${emojis.join(' ')}`);
      post(org, id);
      if (dropReaction.run(id, by.id, emoji).changes === 0) addReaction.run(id, by.id, emoji);
      tell(org, id);
    },
    watch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
