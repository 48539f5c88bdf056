import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { commandsOf } from '../harness/commands.ts';
import { type Engine, startEngine } from '../harness/engine.ts';
import { until } from '../harness/program.ts';

// Each test's containers, networks and addresses are its own: the engine is shared, and its end fails where anything is left.
describe('networks that people make', () => {
  let engine: Engine;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());

  const { ok, refused } = commandsOf((args) => engine.docker(args));
  const sleeper = (name: string, ...flags: string[]) =>
    ok('run', '-d', '--init', '--name', name, ...flags, 'busybox', 'sleep', '600');
  const inside = (name: string, ...command: string[]) => ok('exec', name, ...command);
  const says = async (name: string, ...command: string[]) => {
    const { stdout, stderr, code } = await engine.docker(['exec', name, ...command]);
    return { text: stdout + stderr, code };
  };
  const addressIn = (name: string, network: string) =>
    ok('inspect', '-f', `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, name);
  const gone = (...names: string[]) => ok('rm', '-f', '-v', ...names);

  test('containers find each other by name, alias, id and address, also in several networks, until one leaves', async () => {
    await ok('network', 'create', 'front');
    await ok('network', 'create', '--label', 'tier=back', 'rear');
    const id = await sleeper('db', '--network', 'front', '--network-alias', 'store');
    await sleeper('app', '--network', 'front');
    const address = await addressIn('db', 'front');
    for (const name of ['db', 'store', 'STORE', 'db.front', id.slice(0, 12)])
      assert.match(await inside('app', 'nslookup', name), new RegExp(`Address: ${address}\\b`), name);
    assert.match(await inside('app', 'nslookup', address), /name = db\.front/);
    assert.match(await inside('app', 'ping', '-c', '1', '-W', '2', 'db'), / 0% packet loss/);
    assert.match(await inside('app', 'cat', '/etc/resolv.conf'), /^nameserver 127\.0\.0\.11$/m);

    await sleeper('worker', '--network', 'rear');
    assert.equal((await says('worker', 'ping', '-c', '1', '-W', '1', address)).code, 1, 'bridges are apart');
    assert.notEqual((await says('worker', 'nslookup', 'db')).code, 0);
    await ok('network', 'connect', '--alias', 'archive', 'rear', 'db');
    assert.match(await inside('db', 'ip', '-o', 'link'), /eth1/);
    assert.match(await inside('worker', 'ping', '-c', '1', '-W', '2', 'archive'), / 0% packet loss/);
    assert.equal((await says('app', 'nslookup', 'archive')).code, 1, 'an alias holds in its network only');
    await ok('network', 'disconnect', 'rear', 'db');
    assert.doesNotMatch(await inside('db', 'ip', '-o', 'link'), /eth1/);
    assert.notEqual((await says('worker', 'nslookup', 'archive')).code, 0);
    assert.match(await refused('network', 'rm', 'front'), /active endpoints.*name:"db".*name:"app"/);
    assert.equal(await ok('network', 'ls', '-q', '-f', 'label=tier=back', '--format', '{{.Name}}'), 'rear');
    await gone('db', 'app', 'worker');
    await ok('network', 'rm', 'front', 'rear');
  });

  test('addresses are as asked, never given twice, and another container is told who has one', async () => {
    await ok(
      ...[
        'network',
        'create',
        '--subnet',
        '10.213.7.0/24',
        '--gateway',
        '10.213.7.254',
        '--ip-range',
        '10.213.7.16/29',
      ],
      ...['--aux-address', 'router=10.213.7.17', 'fixed'],
    );
    await sleeper('one', '--network', 'fixed');
    await sleeper('two', '--network', 'fixed', '--ip', '10.213.7.77', '--mac-address', '02:42:00:00:00:77');
    assert.equal(await addressIn('one', 'fixed'), '10.213.7.16');
    assert.match(await inside('two', 'ip', 'addr', 'show', 'eth0'), /02:42:00:00:00:77[\s\S]*10\.213\.7\.77\/24/);
    assert.match(await inside('two', 'ip', 'route'), /default via 10\.213\.7\.254/);
    assert.match(await refused('run', '--network', 'fixed', '--ip', '10.213.7.77', 'busybox', 'true'), /in use.*"two"/);
    assert.match(
      await refused('run', '--network', 'fixed', '--ip', '10.1.1.1', 'busybox', 'true'),
      /10\.213\.7\.0\/24/,
    );
    assert.match(await refused('network', 'create', '--subnet', '10.213.0.0/16', 'x'), /overlaps/);
    const [shown] = JSON.parse(await ok('network', 'inspect', 'fixed')) as [Record<string, unknown>];
    assert.deepEqual(shown.IPAM, {
      Driver: 'default',
      Options: {},
      Config: [
        {
          Subnet: '10.213.7.0/24',
          IPRange: '10.213.7.16/29',
          Gateway: '10.213.7.254',
          AuxiliaryAddresses: { router: '10.213.7.17' },
        },
      ],
    });
    await gone('one', 'two');
    await ok('network', 'rm', 'fixed');
  });

  test('IPv6 with a network of its own: addresses, names, neighbours; the bridge believes no router', async () => {
    await ok('network', 'create', '--ipv6', '--subnet', 'fd42:9::/64', 'six');
    await sleeper('left', '--network', 'six');
    await sleeper('right', '--network', 'six', '--ip6', 'fd42:9::77');
    assert.match(await inside('left', 'nslookup', '-type=aaaa', 'right'), /fd42:9::77/);
    assert.match(await inside('left', 'ping', '-6', '-c', '1', '-W', '2', 'fd42:9::77'), / 0% packet loss/);
    assert.match(await inside('left', 'ip', '-6', 'route'), /default via fd42:9::1/);
    await gone('left', 'right');
    await ok('network', 'rm', 'six');
  });

  test('an internal network has no way out, and asks nobody outside for names (CVE-2024-29018)', async () => {
    await ok('network', 'create', '--internal', 'inner');
    await ok('network', 'create', 'outer');
    await sleeper('shut', '--network', 'inner');
    await sleeper('peer', '--network', 'inner');
    assert.match(await inside('shut', 'ping', '-c', '1', '-W', '2', 'peer'), / 0% packet loss/);
    assert.doesNotMatch(await inside('shut', 'ip', 'route'), /default/);
    assert.match((await says('shut', 'nslookup', 'secret.example.com')).text, /SERVFAIL/);
    const gateway = await ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'outer');
    await inside('shut', 'true');
    const outward = await ok('network', 'inspect', '-f', '{{.Gantry.Reach.Outward}}', 'inner');
    assert.equal(outward, 'nowhere');
    // Even with a route of its own making.
    const inner = await ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'inner');
    await gone('shut');
    await sleeper('shut', '--network', 'inner', '--cap-add', 'NET_ADMIN');
    await inside('shut', 'ip', 'route', 'add', 'default', 'via', inner);
    assert.equal((await says('shut', 'nc', '-w', '1', gateway, '53')).code, 1);
    await gone('shut', 'peer');
    await ok('network', 'rm', 'inner', 'outer');
  });

  test('with enable_icc=false containers of a network do not reach each other', async () => {
    await ok('network', 'create', '-o', 'com.docker.network.bridge.enable_icc=false', 'apart');
    await sleeper('c1', '--network', 'apart');
    await sleeper('c2', '--network', 'apart');
    assert.equal((await says('c1', 'ping', '-c', '1', '-W', '1', await addressIn('c2', 'apart'))).code, 1);
    const gateway = await ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'apart');
    assert.match(await inside('c1', 'ping', '-c', '1', '-W', '2', gateway), / 0% packet loss/);
    await gone('c1', 'c2');
    await ok('network', 'rm', 'apart');
  });

  test('--network container:NAME shares links, names and files; the other must run', async () => {
    await ok('network', 'create', 'shared');
    await sleeper('host1', '--network', 'shared');
    const own = await inside('host1', 'ip', 'addr', 'show', 'eth0');
    assert.equal(await ok('run', '--rm', '--network', 'container:host1', 'busybox', 'ip', 'addr', 'show', 'eth0'), own);
    const hosts = await inside('host1', 'cat', '/etc/hosts');
    assert.equal(await ok('run', '--rm', '--network', 'container:host1', 'busybox', 'cat', '/etc/hosts'), hosts);
    await gone('host1');
    assert.match(await refused('run', '--rm', '--network', 'container:host1', 'busybox', 'true'), /No such container/);
    await ok('network', 'rm', 'shared');
  });

  test('--link on the default bridge, with its variables, and in a network of its own', async () => {
    await sleeper('dbl');
    const linked = await ok('run', '--rm', '--link', 'dbl:store', 'busybox', 'ping', '-c', '1', '-W', '2', 'store');
    assert.match(linked, / 0% packet loss/);
    await gone('dbl');
    const given = ['--expose', '5432', '--expose', '53/udp', '-e', 'OWNER=ana'];
    await sleeper('dbl', ...given);
    const at = await addressIn('dbl', 'bridge');
    await sleeper('user-of-dbl', '--link', 'dbl:my-store', '-e', 'MY_STORE_PORT_5432_TCP_PORT=mine');
    const environment = (await inside('user-of-dbl', 'env')).split('\n').filter((line) => line.startsWith('MY_STORE'));
    assert.deepEqual(environment.toSorted(), [
      'MY_STORE_ENV_OWNER=ana',
      'MY_STORE_NAME=/user-of-dbl/my-store',
      `MY_STORE_PORT=udp://${at}:53`,
      `MY_STORE_PORT_53_UDP=udp://${at}:53`,
      `MY_STORE_PORT_53_UDP_ADDR=${at}`,
      'MY_STORE_PORT_53_UDP_PORT=53',
      'MY_STORE_PORT_53_UDP_PROTO=udp',
      `MY_STORE_PORT_5432_TCP=tcp://${at}:5432`,
      `MY_STORE_PORT_5432_TCP_ADDR=${at}`,
      'MY_STORE_PORT_5432_TCP_PORT=mine',
      'MY_STORE_PORT_5432_TCP_PROTO=tcp',
    ]);
    const first = await ok('exec', 'user-of-dbl', 'cat', '/proc/1/environ');
    assert.match(first, /MY_STORE_ENV_OWNER=ana/);
    await gone('user-of-dbl', 'dbl');
    await ok('network', 'create', 'links');
    await sleeper('dbl', '--network', 'links');
    const address = await addressIn('dbl', 'links');
    const asked = await ok('run', '--rm', '--network', 'links', '--link', 'dbl:store', 'busybox', 'nslookup', 'store');
    assert.match(asked, new RegExp(address));
    await gone('dbl');
    await ok('network', 'rm', 'links');
  });

  test('--dns, --dns-search, --dns-option and --add-host are in the files; host-gateway is the bridge', async () => {
    const flags = ['--dns', '192.0.2.53', '--dns-search', 'corp.example', '--dns-option', 'timeout:1'];
    const resolv = await ok('run', '--rm', ...flags, 'busybox', 'cat', '/etc/resolv.conf');
    assert.equal(resolv, 'nameserver 192.0.2.53\nsearch corp.example\noptions timeout:1');
    const added = ['--add-host', 'up:host-gateway', '--add-host', 'six:fd00::1'];
    const hosts = await ok('run', '--rm', ...added, 'busybox', 'cat', '/etc/hosts');
    const gateway = await ok('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'bridge');
    assert.match(hosts, new RegExp(`^${gateway}\\tup$`, 'm'));
    assert.match(hosts, /^fd00::1\tsix$/m);
  });

  test('after SIGKILL of the engine names are answered again, and everything is found and let go', async () => {
    await ok('network', 'create', 'kept');
    await sleeper('stay', '--network', 'kept');
    await sleeper('other', '--network', 'kept');
    await engine.kill('SIGKILL');
    await engine.restart();
    const address = await addressIn('other', 'kept');
    assert.match(await inside('stay', 'nslookup', 'other'), new RegExp(address));
    await gone('stay', 'other');
    assert.equal(await ok('network', 'prune', '-f'), 'Deleted Networks:\nkept');
  });

  test('what is wrong is refused with its value', async () => {
    assert.match(await refused('network', 'rm', 'bridge'), /bridge is a pre-defined network/);
    assert.match(await refused('network', 'create', 'bridge'), /network with name bridge already exists/);
    assert.match(await refused('network', 'create', '--subnet', '10.5.0.9/24', 'x'), /should be 10\.5\.0\.0\/24/);
    assert.match(await refused('network', 'create', '-d', 'overlay', 'x'), /network driver "overlay" not found/);
    assert.match(await refused('network', 'create', '-o', 'no.such=1', 'x'), /network option "no\.such"/);
    assert.match(await refused('run', '--rm', '--network', 'nowhere', 'busybox', 'true'), /network nowhere not found/);
    assert.match(await refused('run', '--rm', '--network-alias', 'x', 'busybox', 'true'), /user.defined network/);
    await until(async () => ((await ok('network', 'ls', '-q', '-f', 'type=custom')) === '' ? true : undefined));
  });
});
