import assert from 'node:assert/strict';
import { test } from 'node:test';
import { indentJson } from './indent-json.ts';

test('indentJson keeps every token as it came', () => {
  assert.equal(
    indentJson('{"b":1,"a":[],"c":{},"d":[1,{"x":"{[,:"}]}'),
    `{
    "b": 1,
    "a": [],
    "c": {},
    "d": [
        1,
        {
            "x": "{[,:"
        }
    ]
}`,
  );
  assert.equal(
    indentJson('[{"2":18446744073709551615,"1":"\\u003c"}]'),
    `[
    {
        "2": 18446744073709551615,
        "1": "\\u003c"
    }
]`,
  );
});
