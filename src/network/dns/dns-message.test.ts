import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { test } from 'node:test';
import {
  answers,
  nameBytes,
  queryId,
  readQuestion,
  recordType,
  responseCode,
  reversedAddress,
  writeRefusal,
  writeReply,
} from './dns-message.ts';

const query = (name: string, type: number, { id = 7, edns = 0 } = {}): Buffer => {
  const head = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns > 0 ? 1 : 0]);
  const opt = edns > 0 ? Buffer.from([0, 0, recordType.opt, edns >> 8, edns & 255, 0, 0, 0, 0, 0, 0]) : Buffer.alloc(0);
  return Buffer.concat([head, nameBytes(name), Buffer.from([0, type, 0, 1]), opt]);
};

test('readQuestion reads the one question, its case and the size of datagrams that the asker takes', () => {
  const question = readQuestion(query('Web.Example', recordType.a, { id: 0x1234, edns: 1232 }));
  assert.deepEqual(
    { ...question, end: undefined },
    { id: 0x1234, name: 'web.example', type: 1, class: 1, end: undefined, recursionDesired: true, datagramLimit: 1232 },
  );
  assert.equal(readQuestion(query('web', recordType.a))?.datagramLimit, 512);
});

test('a real resolver understands the replies', async () => {
  const server = createSocket('udp4').bind(0, '127.0.0.1');
  await once(server, 'listening');
  server.on('message', (message, from) => {
    const question = readQuestion(message);
    assert.ok(question !== undefined);
    const data = {
      [recordType.a]: Buffer.from([10, 0, 0, 7]),
      [recordType.aaaa]: Buffer.concat([Buffer.from([0xfd]), Buffer.alloc(14), Buffer.from([7])]),
      [recordType.ptr]: nameBytes('web.front'),
    }[question.type];
    const reply =
      question.name === 'none' || data === undefined
        ? { code: responseCode.noSuchName }
        : { code: responseCode.ok, ttl: 5, answers: [{ type: question.type, data }] };
    server.send(writeReply(message, question, reply, question.datagramLimit), from.port, from.address);
  });
  try {
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${server.address().port}`]);
    assert.deepEqual(await resolver.resolve4('web', { ttl: true }), [{ address: '10.0.0.7', ttl: 5 }]);
    assert.deepEqual(await resolver.resolve6('web'), ['fd00::7']);
    assert.deepEqual(await resolver.reverse('10.0.0.7'), ['web.front']);
    await assert.rejects(resolver.resolve4('none'), { code: 'ENOTFOUND' });
  } finally {
    server.close();
  }
});

test('a reply that does not fit is cut at a record and says so', () => {
  const message = query('many', recordType.a);
  const question = readQuestion(message);
  assert.ok(question !== undefined);
  const all = Array.from({ length: 100 }, (_, n) => ({ type: recordType.a, data: Buffer.from([10, 0, 0, n]) }));
  const cut = writeReply(message, question, { code: responseCode.ok, answers: all }, 512);
  assert.ok(cut.length <= 512);
  assert.equal(cut.readUInt16BE(2) & 0x0200, 0x0200);
  assert.equal(cut.length, question.end + cut.readUInt16BE(6) * 16);
  const whole = writeReply(message, question, { code: responseCode.ok, answers: all }, 65535);
  assert.equal(whole.readUInt16BE(6), 100);
  assert.equal(whole.readUInt16BE(2) & 0x0200, 0);
});

test('answers believes only a reply with the same id and question', () => {
  const message = query('example.com', recordType.a, { id: 9 });
  const question = readQuestion(message);
  assert.ok(question !== undefined);
  const reply = (asked: Buffer) => {
    const read = readQuestion(asked);
    assert.ok(read !== undefined);
    return writeReply(asked, read, { code: responseCode.ok }, 512);
  };
  assert.ok(answers(reply(query('EXAMPLE.com', recordType.a, { id: 9 })), message, question));
  assert.ok(!answers(reply(query('example.com', recordType.a, { id: 10 })), message, question));
  assert.ok(!answers(reply(query('example.org', recordType.a, { id: 9 })), message, question));
  assert.ok(!answers(reply(query('example.com', recordType.aaaa, { id: 9 })), message, question));
  assert.ok(!answers(message, message, question), 'a question is no answer');
});

test('any bytes are a question or none, and never an exception', () => {
  let state = 99;
  const next = (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const good = query('web.front', recordType.a, { edns: 4096 });
  for (let round = 0; round < 5000; round++) {
    const bytes = round % 2 === 0 ? Buffer.from(Array.from({ length: next(60) }, () => next(256))) : Buffer.from(good);
    if (round % 2 === 1) for (let flips = 0; flips < 3; flips++) bytes[next(bytes.length)] = next(256);
    const cut = bytes.subarray(0, next(bytes.length + 1));
    for (const message of [bytes, cut]) {
      const question = readQuestion(message);
      const id = queryId(message);
      if (id !== undefined) assert.equal(writeRefusal(id, responseCode.formatError).length, 12);
      if (question === undefined) continue;
      assert.ok(question.end <= message.length);
      assert.ok(question.name.length <= 4 * 256);
      writeReply(message, question, { code: responseCode.ok }, 512);
    }
  }
});

test('a label with a dot in it is not taken for two', () => {
  const message = Buffer.concat([
    query('x', 1).subarray(0, 12),
    Buffer.from([3]),
    Buffer.from('a.b'),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
  assert.equal(readQuestion(message)?.name, 'a\\046b');
});

test('reversedAddress reads reverse names of both families', () => {
  assert.equal(reversedAddress('2.0.18.172.in-addr.arpa'), '172.18.0.2');
  const six = '2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa';
  assert.equal(reversedAddress(six), 'fd00:0000:0000:0000:0000:0000:0000:0002');
  for (const name of ['web', '18.172.in-addr.arpa', 'x.0.18.172.in-addr.arpa', 'in-addr.arpa'])
    assert.equal(reversedAddress(name), undefined);
});

test('nameBytes refuses what is no name', () => {
  for (const name of ['', 'a..b', 'x'.repeat(64), `${'a.'.repeat(200)}b`])
    assert.throws(() => nameBytes(name), RangeError);
});
