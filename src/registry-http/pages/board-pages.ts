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
  const shown = async (post: Post, reader: Account) => ({
    id: post.id,
    author: post.author,
    word: post.word,
    created: isoTime(post.created),
    comments: post.comments.map((comment) => ({ ...comment, created: isoTime(comment.created) })),
    reactions: emojis.map((emoji) => ({ emoji, by: post.reactions.find((one) => one.emoji === emoji)?.by ?? [] })),
    image: { repository: post.repository, tag: post.tag, ...(await factsFor(post, reader)) },
  });
  const factsFor = async (post: Post, account: Account) => {
    try {
      const repository = await access.toPull({ account, scopes: undefined }, post.repository);
      const { digest, imageSize } = await manifests.find(repository, post.tag);
      return { digest, size: imageSize, pulls: await pulls.total(repository) };
    } catch (error) {
      if (isGantryError(error, 'not-found')) return {};
      throw error;
    }
  };
  const ownOr = async (request: FastifyRequest, author: string): Promise<void> => {
    const { account, role, org } = await asMember(deps, request);
    if (author !== account.name && role !== 'owner')
      throw new GantryError('forbidden', `only ${author} or an owner of ${org.name} may do this`, { code: 'denied' });
  };

  app.get('/board', async (request) => {
    const { org, account } = await asMember(deps, request);
    const before = Number(queryOf(request).get('before') ?? Number.NaN);
    const posts = await board.posts(org, Number.isSafeInteger(before) ? before : undefined);
    return { posts: await Promise.all(posts.map((post) => shown(post, account))) };
  });
  app.get('/board/post', async (request) => {
    const { org, account } = await asMember(deps, request);
    return await shown(await board.post(org, requiredNumber(request, 'id')), account);
  });
  app.post('/board', async (request, reply) => {
    const { org, account } = await asMember(deps, request);
    const { repository: name, tag, word } = fields(request, { repository: 'string', tag: 'string', word: 'string' });
    const repository = await access.toPull({ account, scopes: undefined }, name);
    await manifests.find(repository, tag);
    return reply.code(201).send(await shown(await board.add(org, account, repository, tag, word), account));
  });
  app.delete('/board/post', async (request, reply) => {
    const { org } = await asMember(deps, request);
    const id = requiredNumber(request, 'id');
    await ownOr(request, (await board.post(org, id)).author);
    await board.remove(org, id);
    return reply.code(204).send();
  });
  app.post('/board/comments', async (request, reply) => {
    const { org, account } = await asMember(deps, request);
    await board.comment(org, requiredNumber(request, 'id'), account, fields(request, { text: 'string' }).text);
    return reply.code(201).send({});
  });
  app.delete('/board/comments', async (request, reply) => {
    const { org } = await asMember(deps, request);
    const [id, comment] = [requiredNumber(request, 'id'), requiredNumber(request, 'comment')];
    await ownOr(request, await board.commentAuthor(org, id, comment));
    await board.removeComment(org, id, comment);
    return reply.code(204).send();
  });
  app.post('/board/reactions', async (request, reply) => {
    const { org, account } = await asMember(deps, request);
    await board.react(org, requiredNumber(request, 'id'), account, fields(request, { emoji: 'string' }).emoji);
    return reply.code(201).send({});
  });

  const streams = new Map<number, number>();
  const open = new Set<ServerResponse>();
  app.addHook('preClose', async () => {
    for (const raw of open) raw.end();
  });
  /** Server-sent events (HTML: server-sent events): one `post` with its id for each change, while it is a member's. */
  app.get('/board/events', async (request, reply) => {
    const { org, account } = await asMember(deps, request);
    const mine = streams.get(account.id) ?? 0;
    if (mine >= mostOfOne || open.size >= mostStreams)
      throw new GantryError('unavailable', 'too many boards are open; close some', { code: 'busy' });
    streams.set(account.id, mine + 1);
    reply.hijack();
    const { raw } = reply;
    open.add(raw);
    const send = async (text: string) => {
      // A reader that does not read is let go, and comes again.
      const member = (await organisations.of(account)).some(({ name }) => name === org.name);
      if (raw.writableLength > 64 << 10 || !member) raw.destroy();
      else if (!raw.writableEnded) raw.write(text);
    };
    const giveUp = (error: unknown): void => {
      deps.onError(error, 'board events');
      raw.destroy();
    };
    const timer = setInterval(() => void send(': still here\n\n').catch(giveUp), heartbeat);
    let stop: (() => void) | undefined;
    raw.once('close', () => {
      stop?.();
      clearInterval(timer);
      open.delete(raw);
      const left = (streams.get(account.id) ?? 1) - 1;
      if (left === 0) streams.delete(account.id);
      else streams.set(account.id, left);
    });
    try {
      stop = await board.watch((changed, post) => {
        if (changed === org.id) void send(`event: post\ndata: ${post}\n\n`).catch(giveUp);
      });
    } catch (error) {
      return giveUp(error);
    }
    if (raw.destroyed) return stop();
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    });
    raw.write(': open\n\n');
  });
}
