import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, startEngine } from '../harness/engine.ts';
import { type Hub, startHub } from '../harness/hub.ts';

const absent = spawnSync('docker', ['--version']).status !== 0 && 'no docker client on this machine';

describe('manifest lists', () => {
  let engine: Engine;
  let hub: Hub;
  before(async () => {
    [engine, hub] = await Promise.all([startEngine(), startHub()]);
    await hub.addUser('ana', 'correct horse');
    await ok(['login', '-u', 'ana', '--password-stdin', hub.address], 'correct horse');
    for (const [name, base, ...platform] of [
      ['here', 'busybox'],
      ['far', 'scratch', '--platform', 'linux/s390x'],
    ] as const) {
      await ok(['build', '-q', ...platform, '-t', image(name), '-'], `FROM ${base}\nENV IMAGE=${name}\n`);
      await ok(['push', '-q', image(name)]);
    }
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    await hub[Symbol.asyncDispose]();
  });
  const image = (name: string) => `${hub.address}/ana/${name}:v1`;
  const ok = async (args: string[], input?: string) => {
    const { code, stdout, stderr } = await engine.gantry(args, input === undefined ? {} : { input });
    assert.equal(code, 0, `gantry ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const refused = async (args: string[], said: RegExp) => {
    const { code, stderr } = await engine.gantry(['manifest', ...args]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, said);
  };

  test('are made, annotated, shown, pushed, pulled by platform, and removed', async () => {
    const list = image('list');
    const made = await ok(['manifest', 'create', list, image('here'), image('far')]);
    assert.equal(made, `Created manifest list ${list}\n`);
    await refused(['create', list, image('here')], /refusing to amend an existing manifest list with no --amend flag/);
    await ok(['manifest', 'annotate', '--os-features', 'a,b', list, image('far')]);
    await refused(
      ['annotate', '--arch', 'bogus', list, image('far')],
      /unsupported os\/arch combination: linux\/bogus/,
    );
    await refused(['annotate', '--arch', 'arm', list, image('gone')], /manifest for image .*gone:v1 does not exist in/);
    const { manifests } = JSON.parse(await ok(['manifest', 'inspect', list])) as {
      manifests: { platform: object; digest: string }[];
    };
    assert.deepEqual(manifests[0]?.platform, { architecture: 's390x', os: 'linux', 'os.features': ['a', 'b'] });
    const whole = JSON.parse(await ok(['manifest', 'inspect', '-v', list, image('far')])) as Record<string, object>;
    assert.deepEqual(Object.keys(whole), ['Ref', 'Descriptor', 'Raw', 'OCIManifest']);

    const pushed = (await ok(['manifest', 'push', '--purge', list])).trim().split('\n');
    assert.match(pushed[0] ?? '', /^Pushed ref .*\/ana\/list@sha256:\w+ with digest: sha256:\w+$/);
    assert.match(pushed.at(-1) ?? '', /^sha256:[0-9a-f]{64}$/);
    assert.ok(!existsSync(`${engine.root}/config/manifests/${list.replace(/:/g, '-').replace(/\//g, '_')}`));
    await refused(['rm', list], /No such manifest: .*\/ana\/list:v1/);
    const remote = JSON.parse(await ok(['manifest', 'inspect', list])) as { manifests: { digest: string }[] };
    assert.deepEqual(remote.manifests, manifests);
    await refused(['create', image('lists'), list], /list:v1 is a manifest list/);
    await refused(['create', image('lists'), image('nowhere')], /no such manifest: .*nowhere:v1/);

    await ok(['pull', '-q', list]);
    assert.equal((await ok(['run', '--rm', list, 'sh', '-c', 'echo $IMAGE'])).trim(), 'here');
    await ok(['pull', '-q', '--platform', 'linux/s390x', list]);
    const inspected = await ok(['image', 'inspect', '--format', '{{.Config.Env}}', list]);
    assert.match(inspected, /IMAGE=far/);

    await ok(['manifest', 'create', 'other.example/list', image('here')]);
    await refused(['push', 'other.example/list'], /source images from a different registry than the target image/);
    assert.equal(await ok(['manifest', 'rm', 'other.example/list']), '');
  });

  test('are the same lists to the stock client', { skip: absent }, async () => {
    const docker = async (args: string[]) => {
      const { code, stdout, stderr } = await engine.docker(['manifest', ...args]);
      assert.equal(code, 0, `docker manifest ${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    const list = image('both');
    await docker(['create', '--insecure', list, image('here')]);
    await ok(['manifest', 'create', '--amend', list, image('far')]);
    await ok(['manifest', 'annotate', '--arch', 'arm', '--variant', 'v7', '--os-version', '1', list, image('far')]);
    for (const more of [[], ['-v']])
      assert.equal(await ok(['manifest', 'inspect', ...more, list]), await docker(['inspect', ...more, list]));
    const last = (text: string) => text.trim().split('\n').at(-1);
    const theirs = last(await docker(['push', '--insecure', list]));
    assert.equal(last(await ok(['manifest', 'push', list])), theirs);
    await docker(['rm', list]);
    for (const more of [[], ['-v']])
      assert.equal(
        await ok(['manifest', 'inspect', ...more, list]),
        await docker(['inspect', '--insecure', ...more, list]),
      );
  });
});
