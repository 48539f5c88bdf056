import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRunMount } from './run-mount.ts';
import { sourceOf } from './source.ts';

const span = {
  source: sourceOf('Dockerfile', 'RUN --mount=x true'),
  start: { line: 1, column: 5 },
  end: { line: 1, column: 14 },
};
const parse = (text: string) => parseRunMount(text, span);
const root = { uid: 0, gid: 0 };

test('parseRunMount reads every type with its defaults and the other spellings of its options', () => {
  assert.deepEqual(parse('target=/a'), { type: 'bind', target: '/a', source: '', readOnly: true });
  assert.deepEqual(parse('type=bind,dst=/a,src=b,from=c,rw'), {
    type: 'bind',
    target: '/a',
    source: 'b',
    from: 'c',
    readOnly: false,
  });
  assert.deepEqual(parse('type=cache,target=/c'), {
    type: 'cache',
    target: '/c',
    id: '/c',
    sharing: 'shared',
    source: '',
    readOnly: false,
    mode: 0o755,
    ...root,
  });
  assert.deepEqual(parse('type=cache,"id=a,b",target=/c,sharing=locked,mode=0700,uid=5,gid=6'), {
    type: 'cache',
    target: '/c',
    id: 'a,b',
    sharing: 'locked',
    source: '',
    readOnly: false,
    mode: 0o700,
    uid: 5,
    gid: 6,
  });
  assert.deepEqual(parse('type=tmpfs,target=/t,size=64m'), { type: 'tmpfs', target: '/t', size: 64 * 1024 * 1024 });
  assert.deepEqual(parse('type=secret,id=s,env=S,required'), {
    type: 'secret',
    id: 's',
    env: 'S',
    required: true,
    mode: 0o400,
    ...root,
  });
  assert.deepEqual(parse('type=secret,target=/x/key'), {
    type: 'secret',
    id: 'key',
    target: '/x/key',
    required: false,
    mode: 0o400,
    ...root,
  });
  assert.deepEqual(parse('type=ssh'), { type: 'ssh', id: 'default', required: false, mode: 0o600, ...root });
});

test('parseRunMount names what is wrong, and what was meant', () => {
  assert.throws(() => parse('type=cahe,target=/a'), /1:5: unsupported mount type "cahe".*did you mean cache\?/s);
  assert.throws(() => parse('type=cache,traget=/a'), /unexpected option "traget".*did you mean target\?/s);
  assert.throws(() => parse('type=cache,target=/a,sharing=lock'), /unsupported sharing value "lock"/);
  assert.throws(() => parse('type=tmpfs'), /needs target=/);
  assert.throws(() => parse('type=secret'), /needs id=, target= or env=/);
  assert.throws(() => parse('target'), /must be a key=value pair/);
  assert.throws(() => parse('type=bind,target=/a,ro=maybe'), /ro.*maybe|readonly: maybe/);
});
