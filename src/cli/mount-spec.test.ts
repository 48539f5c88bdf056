import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commaFields, parseMount, parseVolumes } from './mount-spec.ts';
import { parseBytes } from './units.ts';

test('parseVolumes tells binds from anonymous volumes', () => {
  const { binds, volumes } = parseVolumes(['/srv:/data:ro', 'named:/v', '/anonymous', './here:/h']);
  assert.deepEqual(binds, ['/srv:/data:ro', 'named:/v', `${process.cwd()}/here:/h`]);
  assert.deepEqual(volumes, { '/anonymous': {} });
  for (const bad of ['', ':', '/a:', ':/b', '/a:b', '/a:/b:ro:x'])
    assert.throws(() => parseVolumes([bad]), { kind: 'invalid' }, bad);
});

test('parseMount reads the long form', () => {
  const mount = (spec: string) => parseMount(spec, parseBytes);
  assert.deepEqual(mount('type=bind,src=/srv,dst=/data,readonly'), {
    Type: 'bind',
    Source: '/srv',
    Target: '/data',
    ReadOnly: true,
  });
  assert.deepEqual(mount('type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777'), {
    Type: 'tmpfs',
    Target: '/t',
    TmpfsOptions: { SizeBytes: 1024 * 1024, Mode: 0o1777 },
  });
  assert.deepEqual(mount('source=v,target=/v,volume-nocopy'), {
    Type: 'volume',
    Source: 'v',
    Target: '/v',
    VolumeOptions: { NoCopy: true },
  });
  for (const bad of [
    '',
    'target',
    'type=bind,target=/x',
    'target=/x,tmpfs-size=1m',
    'target=/x,foo=1',
    'type=tmpfs,target=/t,tmpfs-mode=9',
  ])
    assert.throws(() => mount(bad), { kind: 'invalid' }, bad);
  assert.throws(() => mount('type=bind,src=/a,target=/x,bind-recursive=maybe'), { kind: 'invalid', message: /maybe/ });
});

test('parseMount reads every option of each type', () => {
  assert.deepEqual(
    parseMount('type=bind,src=/a,dst=/b,bind-propagation=rslave,bind-recursive=writable,idmap=7', Number).BindOptions,
    {
      Propagation: 'rslave',
      ReadOnlyNonRecursive: true,
      OwnerAs: 7,
    },
  );
  const volume =
    'src=v,dst=/b,volume-subpath=a/b,volume-label=k=v=w,volume-label=l,volume-opt=type=tmpfs,volume-driver=local';
  assert.deepEqual(parseMount(volume, Number).VolumeOptions, {
    Subpath: 'a/b',
    Labels: { k: 'v=w', l: '' },
    DriverConfig: { Options: { type: 'tmpfs' }, Name: 'local' },
  });
  assert.deepEqual(parseMount('type=image,src=busybox,dst=/b,image-subpath=bin', Number).ImageOptions, {
    Subpath: 'bin',
  });
});

test('commaFields reads quoted fields', () => {
  assert.deepEqual(commaFields('a=1,"b=x,y","c=""q"""'), ['a=1', 'b=x,y', 'c="q"']);
  assert.deepEqual(commaFields(''), ['']);
  assert.throws(() => commaFields('a="b'), { kind: 'invalid' });
});
