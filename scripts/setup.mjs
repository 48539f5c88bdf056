// Makes a fresh clone ready: npm dependencies (with the pinned Node), the native parts, and the Debian packages a task
// needs. Runs on the distribution's Node 20; then hands over: setup.mjs [--for lab|test|check] [-- program args…]
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const dashes = process.argv.indexOf('--');
const own = dashes < 0 ? process.argv.slice(2) : process.argv.slice(2, dashes);
const next = dashes < 0 ? [] : process.argv.slice(dashes + 1);
const purpose = own[own.indexOf('--for') + 1] ?? '';

/** Package → [a file that shows it is installed, why]. */
const packages = {
  lab: {
    mmdebstrap: ['/usr/bin/mmdebstrap', 'makes the Debian base image on the spot'],
    curl: ['/usr/bin/curl', 'asks the running container'],
  },
  test: {
    mmdebstrap: ['/usr/bin/mmdebstrap', 'makes the Debian base image the tests run'],
    'busybox-static': ['/usr/bin/busybox', 'the 1 MB image most tests run'],
    curl: ['/usr/bin/curl', 'asks the running container, in the lab'],
    runc: ['/usr/sbin/runc', 'the engine runs containers through it in one test'],
    crun: ['/usr/bin/crun', 'the same with a second runtime'],
    criu: ['/usr/sbin/criu', 'checkpoint and restore, and what is said where it does not fit the kernel'],
    podman: ['/usr/bin/podman', 'runs containers with gantry-runtime'],
    'docker.io': ['/usr/sbin/dockerd', 'the same under dockerd'],
    'docker-compose': ['/usr/bin/docker-compose', 'an application of several services, by a client that is not ours'],
    'python3-docker': ['/usr/lib/python3/dist-packages/docker/__init__.py', "Docker's Python SDK, the same"],
    git: ['/usr/bin/git', 'builds fetch sources with it'],
    'xz-utils': ['/usr/bin/xz', 'builds unpack archives with it'],
    bzip2: ['/usr/bin/bzip2', 'the same'],
    'qemu-user-static': ['/usr/bin/qemu-aarch64-static', 'runs the steps of a build for another processor'],
    procps: ['/usr/bin/ps', 'the tables of processes that gantry-runtime ps prints'],
    nftables: ['/usr/sbin/nft', 'reads back the rules that the engine wrote'],
    iproute2: ['/usr/bin/ip', 'reads back links and addresses, and makes the other hosts of the network tests'],
    openssl: ['/usr/bin/openssl', 'makes the certificate of the TLS tests'],
    tmux: ['/usr/bin/tmux', 'a real terminal for the -it tests'],
    zsh: ['/usr/bin/zsh', 'completes what is typed after gantry'],
    fish: ['/usr/bin/fish', 'the same'],
    'openssh-client': ['/usr/bin/ssh-agent', 'holds the key files of build --ssh'],
    e2fsprogs: ['/usr/sbin/mkfs.ext4', 'makes a small disk that fills up and breaks'],
    skopeo: ['/usr/bin/skopeo', 'a client that is not ours, for the hub'],
    'erofs-utils': ['/usr/bin/fsck.erofs', 'checks the images that the driver erofs writes'],
    chromium: ['/usr/bin/chromium', 'a real browser for the pages of the hub'],
    postgresql: ['/usr/lib/postgresql', 'the database that hubs of several machines share, private to its tests'],
    systemd: ['/usr/bin/systemd-analyze', "says whether it takes the hub's unit"],
  },
};

const say = (text) => process.stderr.write(`${text}\n`);
const run = (program, args, options = {}) => execFileSync(program, args, { stdio: ['ignore', 2, 2], ...options });

// What node_modules was made from: a date would lie after a checkout, or where a copy shares its files.
const installedFrom = 'node_modules/.gantry-package-lock.json';
const lock = readFileSync('package-lock.json');
if (!existsSync(installedFrom) || !readFileSync(installedFrom).equals(lock)) {
  say('setup: npm ci (dependencies, and the pinned Node as a package)');
  // --force: one of the two pinned Nodes is for the other processor; npm leaves it out.
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(installedFrom, lock);
}
const compiler = spawnSync('cc', ['--version']);
const wanted = {
  ...(packages[purpose] ?? {}),
  ...(compiler.error
    ? { gcc: ['/usr/bin/gcc', 'compiles native/'], 'libc6-dev': ['/usr/include/stdio.h', 'compiles native/'] }
    : {}),
};
const missing = Object.entries(wanted).filter(([, [file]]) => !existsSync(file));
if (missing.length > 0) {
  for (const [name, [, why]] of missing) say(`setup: Debian package ${name}: ${why}`);
  if (
    process.getuid() !== 0 ||
    !/debian/.test(existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '')
  ) {
    say('setup: install these packages (as root), then run this again');
    process.exit(1);
  }
  // In runlevel 1 a package starts no service of its own (invoke-rc.d(8)): the tests start what they need, privately.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...missing.map(([name]) => name)];
  run('apt-get', ['update', '-qq'], { env });
  run('apt-get', install, { env });
}
run('node', ['scripts/build-native.mjs']);
run('node_modules/.bin/node', ['scripts/build-web.mjs']);
run('node', ['scripts/build-programs.mjs']);

if (next.length > 0) {
  const env = { ...process.env, PATH: `${root}node_modules/.bin:${process.env.PATH}` };
  const program = next[0] === 'node' ? `${root}node_modules/.bin/node` : next[0];
  const { status, signal } = spawnSync(
    program,
    [...next.slice(1), ...own.filter((a, i) => a !== '--for' && own[i - 1] !== '--for')],
    { stdio: 'inherit', env },
  );
  process.exit(status ?? (signal ? 1 : 0));
}
