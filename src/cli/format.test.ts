import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRows } from './format.ts';

const shape = { columns: ['ID', 'Names'], headers: { ID: 'CONTAINER ID', Names: 'NAMES' } };
const rows = [
  { Names: 'web<1>', ID: '4f', Label: (key: string) => key },
  { Names: 'd\u00fcn', ID: '0123456789abc' },
];

test('formatRows lays out a table in Docker\u2019s widths', async () => {
  assert.equal(
    await formatRows('', rows, shape),
    'CONTAINER ID    NAMES\n4f              web<1>\n0123456789abc   d\u00fcn\n',
  );
  assert.equal(
    await formatRows('table {{.Names}}\\t{{.ID}}', rows.slice(0, 1), shape),
    'NAMES     CONTAINER ID\nweb<1>    4f\n',
  );
});

test('formatRows prints JSON with sorted keys, escaped as Go does, and templates line by line', async () => {
  assert.equal(await formatRows('json', rows.slice(0, 1), shape), '{"ID":"4f","Names":"web\\u003c1\\u003e"}\n');
  assert.equal(await formatRows('{{.ID}}:{{.Names}}', rows, shape), '4f:web<1>\n0123456789abc:d\u00fcn\n');
  await assert.rejects(formatRows('{{.Foo}}', rows, shape), { message: /^failed to execute template: .*<\.Foo>/ });
  await assert.rejects(formatRows('{{.Foo', rows, shape), { message: /^failed to parse template: .*unclosed action/ });
});
