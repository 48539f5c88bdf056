// The part of Go's text/template that `--format` is used with: fields, pipes, if/else, range, with, variables,
// comparison, index, len, printf, define, template, block, break, continue, and Docker's json, join, split, lower, upper, title, truncate, println, pad.
import { GantryError, messageOf } from '#errors/index.ts';
import { callFunction, isTrue, printValue } from './go-template-values.ts';

type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly pipe: Pipe }
  | { readonly kind: 'leave'; readonly how: Leaving }
  | { readonly kind: 'template'; readonly name: string; readonly pipe: Pipe | undefined; readonly at: number }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

type Leaving = 'break' | 'continue';

/** What `define` and `block` name. */
type Definitions = Map<string, readonly Node[]>;

interface Pipe {
  /** `$i, $v :=` */
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly (readonly Operand[])[];
  readonly at: number;
}

type Operand =
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'field'; readonly path: readonly string[]; readonly at: number }
  | { readonly kind: 'variable'; readonly name: string; readonly path: readonly string[]; readonly at: number }
  | { readonly kind: 'group'; readonly pipe: Pipe; readonly path: readonly string[]; readonly at: number }
  | { readonly kind: 'function'; readonly name: string };

interface Token {
  readonly text: string;
  readonly at: number;
}

/** A parsed template: call it with the data. */
export type Template = (data: unknown) => string;

export interface TemplateOptions {
  /** Named in errors, as Docker names its templates: `template: NAME:1:2: …`. */
  readonly name?: string;
  /** What a field that is not there gives: an error, or `<no value>`. */
  readonly missing?: 'error' | 'no value';
}

/**
 * Parses a Go template. @throws GantryError invalid (code `template`) where it cannot be parsed; the returned function
 * throws the same for a field that does not exist or a function used wrongly.
 */
export function parseTemplate(source: string, { name = '', missing = 'error' }: TemplateOptions = {}): Template {
  const fail = (message: string) => new GantryError('invalid', `template: ${name}:1: ${message}`, { code: 'template' });
  const definitions: Definitions = new Map();
  const nodes = parse(split(source, fail), fail, definitions);
  return (data) => {
    const evaluation = new Evaluation(name, missing, definitions, data);
    evaluation.run(nodes, data);
    return evaluation.output;
  };
}

type Piece = { readonly text: string } | { readonly action: readonly Token[]; readonly at: number };
type Fail = (message: string) => GantryError;

/** A string, a variable or field with what follows it, a name, a number, or punctuation. */
const tokenPattern =
  /\s*(?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+'|\$\w*(?:\.[A-Za-z_]\w*)*|(?:\.[A-Za-z_]\w*)+|[A-Za-z_]\w*|-?\d+(?:\.\d+)?|:=|[=(),|.])/y;

function split(source: string, fail: Fail): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimNext = false;
  const text = (raw: string, trimEnd: boolean) => {
    let kept = trimNext ? raw.trimStart() : raw;
    if (trimEnd) kept = kept.trimEnd();
    if (kept !== '') pieces.push({ text: kept });
  };
  for (;;) {
    const open = source.indexOf('{{', at);
    if (open < 0) {
      text(source.slice(at), false);
      return pieces;
    }
    const trims = /^-\s/.test(source.slice(open + 2));
    text(source.slice(at, open), trims);
    let from = open + 2 + (trims ? 1 : 0);
    const comment = /^\s*\/\*[\s\S]*?\*\/\s*(-?)\}\}/.exec(source.slice(from));
    if (comment !== null) {
      trimNext = comment[1] === '-';
      at = from + comment[0].length;
      continue;
    }
    const action: Token[] = [];
    for (;;) {
      const close = /^\s*(?:\s-)?\}\}/.exec(source.slice(from));
      if (close !== null) {
        trimNext = close[0].includes('-');
        at = from + close[0].length;
        break;
      }
      tokenPattern.lastIndex = from;
      const token = tokenPattern.exec(source);
      if (token === null) {
        const rest = source.slice(from).trimStart();
        throw rest === '' ? fail('unclosed action') : fail(`unexpected ${JSON.stringify(rest[0])} in operand`);
      }
      action.push({ text: token[0].trim(), at: from + token[0].length - token[0].trimStart().length });
      from = tokenPattern.lastIndex;
    }
    pieces.push({ action, at: open });
  }
}

function parse(pieces: readonly Piece[], fail: Fail, definitions: Definitions): readonly Node[] {
  let at = 0;
  let ranges = 0;
  const block = (inside: string | undefined): { nodes: readonly Node[]; ended: readonly Token[] } => {
    const nodes: Node[] = [];
    for (; at < pieces.length; ) {
      const piece = pieces[at++];
      if (piece === undefined) break;
      if ('text' in piece) {
        nodes.push({ kind: 'text', text: piece.text });
        continue;
      }
      const word = piece.action[0]?.text ?? '';
      if (word === 'end' || word === 'else') {
        if (inside === undefined) throw fail(`unexpected {{${word}}}`);
        return { nodes, ended: piece.action };
      }
      if (word === 'define') define(piece.action);
      else nodes.push(nodeOf(word, piece.action));
    }
    if (inside !== undefined) throw fail('unexpected EOF');
    return { nodes, ended: [] };
  };
  const nodeOf = (word: string, action: readonly Token[]): Node => {
    switch (word) {
      case 'if':
      case 'with':
      case 'range':
        return control(word, action.slice(1));
      case 'break':
      case 'continue':
        if (ranges === 0) throw fail(`{{${word}}} outside {{range}}`);
        return { kind: 'leave', how: word };
      case 'template':
      case 'block': {
        if (word === 'block') define(action);
        const argument = action.slice(2);
        const pipe = argument.length === 0 ? undefined : pipeOf(argument, fail, word);
        return { kind: 'template', name: nameIn(action), pipe, at: action[0]?.at ?? 0 };
      }
      default:
        return { kind: 'output', pipe: pipeOf(action, fail) };
    }
  };
  const nameIn = (action: readonly Token[]): string => {
    const name = /^["`]/.test(action[1]?.text ?? '') ? unquote(action[1]?.text ?? '', fail) : undefined;
    if (typeof name !== 'string')
      throw fail(`unexpected ${JSON.stringify(action[1]?.text ?? '')} in ${action[0]?.text}`);
    return name;
  };
  const define = (action: readonly Token[]): void => {
    const name = nameIn(action);
    definitions.set(name, block('define').nodes);
  };
  const control = (kind: 'if' | 'with' | 'range', tokens: readonly Token[]): Node => {
    const pipe = pipeOf(tokens, fail, kind);
    if (kind === 'range') ranges++;
    const { nodes: body, ended } = block(kind);
    if (kind === 'range') ranges--;
    if (ended[0]?.text === 'end') return { kind, pipe, body, otherwise: [] };
    // `{{else if …}}` is an if inside the else, closed by the same end.
    const next = ended[1]?.text;
    if (next === 'if' || next === 'with') return { kind, pipe, body, otherwise: [control(next, ended.slice(2))] };
    const { nodes: otherwise, ended: last } = block(kind);
    if (last[0]?.text !== 'end') throw fail('expected end; found {{else}}');
    return { kind, pipe, body, otherwise };
  };
  return block(undefined).nodes;
}

function pipeOf(tokens: readonly Token[], fail: Fail, inside = 'command'): Pipe {
  let at = 0;
  const peek = () => tokens[at]?.text;
  const pipeline = (closing: string | undefined): Pipe => {
    const start = tokens[at]?.at ?? 0;
    const variables: string[] = [];
    let assigns = false;
    if (peek()?.startsWith('$') && [':=', '=', ','].includes(tokens[at + 1]?.text ?? '')) {
      for (;;) {
        variables.push(peek() ?? '');
        at++;
        const next = tokens[at++]?.text;
        if (next === ',') continue;
        assigns = next === '=';
        break;
      }
    }
    const commands: Operand[][] = [];
    let command: Operand[] = [];
    for (;;) {
      const token = tokens[at];
      if (token === undefined || token.text === closing || token.text === '|') {
        if (command.length === 0) throw fail(`missing value for ${commands.length > 0 ? 'command' : inside}`);
        commands.push(command);
        command = [];
        if (token === undefined) {
          if (closing !== undefined) throw fail('unclosed left paren');
          break;
        }
        at++;
        if (token.text === closing) break;
        continue;
      }
      command.push(operand(token));
    }
    return { variables, assigns, commands, at: start };
  };
  const pathOf = (text: string) => text.split('.').filter((part) => part !== '');
  const operand = (token: Token): Operand => {
    at++;
    const { text } = token;
    if (text === '(') {
      const pipe = pipeline(')');
      const next = tokens[at];
      const path =
        next?.text.startsWith('.') && next.text !== '.' && next.at === (tokens[at - 1]?.at ?? 0) + 1
          ? pathOf(next.text)
          : [];
      if (path.length > 0) at++;
      return { kind: 'group', pipe, path, at: token.at };
    }
    if (text.startsWith('$')) {
      const [name = '$', ...path] = text.split('.');
      return { kind: 'variable', name, path, at: token.at };
    }
    if (text.startsWith('.')) return { kind: 'field', path: pathOf(text), at: token.at };
    if (/^-?\d/.test(text)) return { kind: 'literal', value: Number(text) };
    if (/^["`']/.test(text)) return { kind: 'literal', value: unquote(text, fail) };
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' };
    if (text === 'nil') return { kind: 'literal', value: null };
    if (!/^[A-Za-z_]\w*$/.test(text)) throw fail(`unexpected "${text}" in operand`);
    return { kind: 'function', name: text };
  };
  const pipe = pipeline(undefined);
  for (const operands of pipe.commands) checkFunctions(operands, fail);
  return pipe;
}

function checkFunctions(operands: readonly Operand[], fail: Fail): void {
  for (const operand of operands) {
    if (operand.kind === 'function' && callFunction(operand.name) === undefined)
      throw fail(`function "${operand.name}" not defined`);
    if (operand.kind === 'group') for (const inner of operand.pipe.commands) checkFunctions(inner, fail);
  }
}

function unquote(text: string, fail: Fail): unknown {
  if (text.startsWith('`')) return text.slice(1, -1);
  try {
    const value: unknown = JSON.parse(text.startsWith("'") ? `"${text.slice(1, -1)}"` : text);
    return text.startsWith("'") ? String(value).codePointAt(0) : value;
  } catch (error) {
    throw fail(`invalid syntax in ${text}: ${messageOf(error)}`);
  }
}

class Evaluation {
  output = '';
  readonly #name: string;
  readonly #missing: 'error' | 'no value';
  readonly #definitions: Definitions;
  #variables: [name: string, value: unknown][];
  /** Templates that call themselves end somewhere. */
  #depth = 0;

  constructor(name: string, missing: 'error' | 'no value', definitions: Definitions, data: unknown) {
    this.#name = name;
    this.#definitions = definitions;
    this.#missing = missing;
    this.#variables = [['$', data]];
  }

  /** Undefined, or how the range around it is left. */
  run(nodes: readonly Node[], dot: unknown): Leaving | undefined {
    for (const node of nodes) {
      const leaving = this.#node(node, dot);
      if (leaving !== undefined) return leaving;
    }
    return undefined;
  }

  #node(node: Node, dot: unknown): Leaving | undefined {
    switch (node.kind) {
      case 'text':
        this.output += node.text;
        return undefined;
      case 'output': {
        const value = this.#pipe(node.pipe, dot);
        if (node.pipe.variables.length === 0) this.output += printValue(value);
        return undefined;
      }
      case 'leave':
        return node.how;
      case 'template': {
        const body = this.#definitions.get(node.name);
        if (body === undefined) return this.#fail(node.at, `template ${JSON.stringify(node.name)} not defined`);
        if (this.#depth >= 100) return this.#fail(node.at, 'exceeded maximum template depth');
        const data = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot);
        const variables = this.#variables;
        this.#variables = [['$', data]];
        this.#depth++;
        this.run(body, data);
        this.#depth--;
        this.#variables = variables;
        return undefined;
      }
      default: {
        const depth = this.#variables.length;
        const leaving = this.#control(node, dot);
        this.#variables.length = depth;
        return leaving;
      }
    }
  }

  #control(node: Extract<Node, { kind: 'if' | 'with' | 'range' }>, dot: unknown): Leaving | undefined {
    if (node.kind !== 'range') {
      const value = this.#pipe(node.pipe, dot);
      if (isTrue(value)) return this.run(node.body, node.kind === 'with' ? value : dot);
      return this.run(node.otherwise, dot);
    }
    const value = this.#pipe({ ...node.pipe, variables: [] }, dot);
    const entries: readonly (readonly [unknown, unknown])[] =
      typeof value === 'number'
        ? Array.from({ length: value }, (_, i) => [i, i] as const)
        : Array.isArray(value)
          ? value.map((v: unknown, i) => [i, v] as const)
          : typeof value === 'object' && value !== null
            ? Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
            : value === null || value === undefined
              ? []
              : this.#fail(node.pipe.at, `range can't iterate over ${printValue(value)}`);
    if (entries.length === 0) return this.run(node.otherwise, dot);
    const [first, second] = node.pipe.variables;
    for (const [key, item] of entries) {
      const depth = this.#variables.length;
      if (second !== undefined && first !== undefined) this.#variables.push([first, key], [second, item]);
      else if (first !== undefined) this.#variables.push([first, item]);
      const leaving = this.run(node.body, item);
      this.#variables.length = depth;
      if (leaving === 'break') break;
    }
    return undefined;
  }

  #pipe(pipe: Pipe, dot: unknown): unknown {
    let value: unknown;
    for (const [at, command] of pipe.commands.entries())
      value = this.#command(command, dot, at === 0 ? [] : [value], pipe.at);
    const [name] = pipe.variables;
    if (name !== undefined) {
      const known = pipe.assigns ? this.#variables.findLast(([n]) => n === name) : undefined;
      if (pipe.assigns && known === undefined) this.#fail(pipe.at, `undefined variable "${name}"`);
      if (known === undefined) this.#variables.push([name, value]);
      else known[1] = value;
    }
    return value;
  }

  #command(operands: readonly Operand[], dot: unknown, piped: readonly unknown[], at: number): unknown {
    const [head, ...rest] = operands;
    if (head === undefined) return undefined;
    if (head.kind === 'function') {
      // `and` and `or` stop at the operand that decides.
      if ((head.name === 'and' || head.name === 'or') && rest.length > 0) {
        let value: unknown;
        for (const operand of rest) {
          value = this.#operand(operand, dot);
          if (isTrue(value) !== (head.name === 'and')) return value;
        }
        return piped.length > 0 ? piped[0] : value;
      }
      const implementation = callFunction(head.name);
      try {
        return implementation?.(...rest.map((operand) => this.#operand(operand, dot)), ...piped);
      } catch (error) {
        return this.#fail(at, `error calling ${head.name}: ${messageOf(error)}`);
      }
    }
    const value = this.#operand(head, dot);
    if (typeof value === 'function')
      return (value as (...args: unknown[]) => unknown)(
        ...rest.map((operand) => this.#operand(operand, dot)),
        ...piped,
      );
    if (rest.length > 0 || piped.length > 0) return this.#fail(at, `can't give argument to non-function`);
    return value;
  }

  #operand(operand: Operand, dot: unknown): unknown {
    switch (operand.kind) {
      case 'literal':
        return operand.value;
      case 'field':
        return this.#walk(dot, operand.path, operand.at);
      case 'variable': {
        const variable = this.#variables.findLast(([name]) => name === operand.name);
        if (variable === undefined) return this.#fail(operand.at, `undefined variable "${operand.name}"`);
        return this.#walk(variable[1], operand.path, operand.at);
      }
      case 'group':
        return this.#walk(this.#pipe(operand.pipe, dot), operand.path, operand.at);
      case 'function':
        return this.#command([operand], dot, [], 0);
    }
  }

  #walk(start: unknown, path: readonly string[], at: number): unknown {
    let value = start;
    for (const [index, key] of path.entries()) {
      const before = path.slice(0, index).join('.');
      const shown = `.${index === 0 ? '' : `${before}.`}${key}`;
      const where = at + (index === 0 ? 0 : before.length + 1);
      if (value === null || value === undefined) {
        if (this.#missing === 'error') this.#fail(where, `nil data; no entry for key "${key}"`, shown);
        return undefined;
      }
      if (typeof value !== 'object')
        return this.#fail(where, `can't evaluate field ${key} in type ${typeof value}`, shown);
      if (!Object.hasOwn(value, key)) {
        if (this.#missing === 'error') this.#fail(where, `map has no entry for key "${key}"`, shown);
        return undefined;
      }
      value = (value as Readonly<Record<string, unknown>>)[key];
    }
    return value;
  }

  #fail(at: number, message: string, shown = ''): never {
    const where = shown === '' ? '' : ` at <${shown}>`;
    throw new GantryError(
      'invalid',
      `template: ${this.#name}:1:${at}: executing ${JSON.stringify(this.#name)}${where}: ${message}`,
      {
        code: 'template',
      },
    );
  }
}
