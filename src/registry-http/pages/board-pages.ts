import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { GantryError, isGantryError } from '#errors/index.ts';
import type { Account, Post } from '#registry/index.ts';
import { emojis } from '#registry/index.ts';
import type { HubDeps } from '../deps.ts';
import { asMember } from './organisation-pages.ts';
import { fields, isoTime, queryOf, requiredNumber } from './page-call.ts';

const heartbeat = 25_000;
const mostStreams = 2000;
const mostOfOne = 20;

/** The class board: posts, comments and reactions of an organisation's members, and their changes as they come. */
export function boardPages(app: FastifyInstance, deps: HubDeps): void {
  const { board, access, manifests, pulls, organisations } = deps;

  /** A card shows size and pulls only to who may pull the image. */
  const shown = (post: Post, reader: Account) => ({
    id: post.id,
    author: post.author,
    word: post.word,
    created: isoTime(post.created),
    comments: post.comments.map((comment) => ({ ...comment, created: isoTime(comment.created) })),
    reactions: emojis.map((emoji) => ({ emoji, by: post.reactions.find((one) => one.emoji === emoji)?.by ?? [] })),
    image: { repository: post.repository, tag: post.tag, ...factsFor(post, reader) },
  });
  const factsFor = (post: Post, account: Account) => {
    try {
      const repository = access.toPull({ account, scopes: undefined }, post.repository);
      const { digest, imageSize } = manifests.find(repository, post.tag);
      return { digest, size: imageSize, pulls: pulls.total(repository) };
    } catch (error) {
      if (isGantryError(error, 'not-found')) return {};
      throw error;
    }
  };
  const ownOr = (request: FastifyRequest, author: string): void => {
    const { account, role, org } = asMember(deps, request);
    if (author !== account.name && role !== 'owner')
      throw new GantryError('forbidden', `only ${author} or an owner of ${org.name} may do this`, { code: 'denied' });
  };

  app.get('/board', async (request) => {
    const { org, account } = asMember(deps, request);
    const before = Number(queryOf(request).get('before') ?? Number.NaN);
    const posts = board.posts(org, Number.isSafeInteger(before) ? before : undefined);
    return { posts: posts.map((post) => shown(post, account)) };
  });
  app.get('/board/post', async (request) => {
    const { org, account } = asMember(deps, request);
    return shown(board.post(org, requiredNumber(request, 'id')), account);
  });
  app.post('/board', async (request, reply) => {
    const { org, account } = asMember(deps, request);
    const { repository: name, tag, word } = fields(request, { repository: 'string', tag: 'string', word: 'string' });
    const repository = access.toPull({ account, scopes: undefined }, name);
    manifests.find(repository, tag);
    return reply.code(201).send(shown(board.add(org, account, repository, tag, word), account));
  });
  app.delete('/board/post', async (request, reply) => {
    const { org } = asMember(deps, request);
    const id = requiredNumber(request, 'id');
    ownOr(request, board.post(org, id).author);
    board.remove(org, id);
    return reply.code(204).send();
  });
  app.post('/board/comments', async (request, reply) => {
    const { org, account } = asMember(deps, request);
    board.comment(org, requiredNumber(request, 'id'), account, fields(request, { text: 'string' }).text);
    return reply.code(201).send({});
  });
  app.delete('/board/comments', async (request, reply) => {
    const { org } = asMember(deps, request);
    const [id, comment] = [requiredNumber(request, 'id'), requiredNumber(request, 'comment')];
    ownOr(request, board.commentAuthor(org, id, comment));
    board.removeComment(org, id, comment);
    return reply.code(204).send();
  });
  app.post('/board/reactions', async (request, reply) => {
    const { org, account } = asMember(deps, request);
    board.react(org, requiredNumber(request, 'id'), account, fields(request, { emoji: 'string' }).emoji);
    return reply.code(201).send({});
  });

  const streams = new Map<number, number>();
  const open = new Set<ServerResponse>();
  app.addHook('preClose', async () => {
    for (const raw of open) raw.end();
  });
  /** Server-sent events (HTML: server-sent events): one `post` with its id for each change, while it is a member's. */
  app.get('/board/events', async (request, reply) => {
    const { org, account } = asMember(deps, request);
    const mine = streams.get(account.id) ?? 0;
    if (mine >= mostOfOne || open.size >= mostStreams)
      throw new GantryError('unavailable', 'too many boards are open; close some', { code: 'busy' });
    streams.set(account.id, mine + 1);
    reply.hijack();
    const { raw } = reply;
    open.add(raw);
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    });
    raw.write(': open\n\n');
    const send = (text: string) => {
      // A reader that does not read is let go, and comes again.
      if (raw.writableLength > 64 << 10 || !organisations.of(account).some(({ name }) => name === org.name))
        raw.destroy();
      else raw.write(text);
    };
    const stop = board.watch((changed, post) => {
      if (changed === org.id) send(`event: post\ndata: ${post}\n\n`);
    });
    const timer = setInterval(() => send(': still here\n\n'), heartbeat);
    raw.once('close', () => {
      stop();
      clearInterval(timer);
      open.delete(raw);
      const left = (streams.get(account.id) ?? 1) - 1;
      if (left === 0) streams.delete(account.id);
      else streams.set(account.id, left);
    });
  });
}
