// An engine's networks that a test ends with SIGKILL: makes 100 networks, puts the processes of its arguments into them, ten of
// them with a hundred ports each, and then goes through removing and making networks until it is killed.
import { DatabaseSync } from 'node:sqlite';
import { createNetworks, type PortRequest } from '#network/index.ts';

const [path = '', bridge = '', ...pids] = process.argv.slice(2);
const db = new DatabaseSync(path);
db.exec('PRAGMA journal_mode = WAL'); // as the daemon has it
const networks = createNetworks({ db }, { bridge });
await networks.open(new Set());
for (let count = 0; count < 100; count++)
  await networks.create({ name: `net${count}`, internal: count % 10 === 9, ipv6: count % 2 === 0 });
for (const [index, pid] of pids.entries()) {
  const ports: readonly PortRequest[] =
    index % 30 === 0
      ? Array.from({ length: 100 }, (_, n) => ({
          protocol: 'tcp',
          containerPort: 80,
          hostPort: 10_000 + index * 10 + n,
        }))
      : [];
  const owner = String(index);
  const endpoint = await networks.reserve({ owner, ownerName: `c${index}`, network: `net${index % 100}`, ports });
  await networks.connect(endpoint, Number(pid));
}
process.stdout.write('made\n');
for (let count = 0; ; count++) {
  await networks.create({ name: `late${count}` });
  await networks.release(String(200 + (count % 100)));
  await networks.remove(`late${count}`);
  process.stdout.write('.');
}
