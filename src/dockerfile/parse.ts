import type { ArgInstruction, FromInstruction, Instruction } from './instructions.ts';
import { type Comment, type Directive, type LogicalFile, readLogicalLines } from './logical-lines.ts';
import { parseInstruction } from './parse-instruction.ts';
import { frameError, type Span, sourceOf } from './source.ts';

/** One `FROM` and what follows it. */
export interface Stage {
  readonly index: number;
  readonly from: FromInstruction;
  readonly name?: string;
  readonly instructions: readonly Exclude<Instruction, FromInstruction>[];
}

/** A whole file: nothing of it is lost, comments and directives have their places too. */
export interface Dockerfile {
  readonly directives: readonly Directive[];
  readonly comments: readonly Comment[];
  /** `ARG`s before the first `FROM`: their names can be used in every `FROM`. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly warnings: LogicalFile['warnings'];
  /** The escape character: backslash, or backtick by directive. */
  readonly escape: string;
}

/**
 * Parses a Dockerfile (docs.docker.com/reference/dockerfile). Pure; what the builder cannot do yet still parses.
 * @throws GantryError invalid (code `dockerfile-invalid`): a code frame with file, line, caret and what was expected
 */
export function parseDockerfile(text: string, name = 'Dockerfile'): Dockerfile {
  const source = sourceOf(name, text);
  const file = readLogicalLines(source);
  const globalArgs: ArgInstruction[] = [];
  const stages: {
    index: number;
    from: FromInstruction;
    name?: string;
    instructions: Exclude<Instruction, FromInstruction>[];
  }[] = [];
  for (const line of file.lines) {
    const instruction = parseInstruction(line, file.escape);
    const stage = stages.at(-1);
    if (instruction.kind === 'FROM') {
      stages.push({
        index: stages.length,
        from: instruction,
        instructions: [],
        ...(instruction.name === undefined ? {} : { name: instruction.name }),
      });
    } else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === 'ARG') globalArgs.push(instruction);
    else
      throw frameError(
        instruction.span,
        `no build stage in current context: ${instruction.kind} stands before the first FROM`,
      );
  }
  if (stages.length === 0) throw frameError(endOf(file, source), 'the Dockerfile has no build stage; it needs a FROM');
  return {
    directives: file.directives,
    comments: file.comments,
    globalArgs,
    stages,
    warnings: file.warnings,
    escape: file.escape,
  };
}

const endOf = (file: LogicalFile, source: Span['source']): Span =>
  file.lines.at(-1)?.span(0, 1) ?? { source, start: { line: 1, column: 1 }, end: { line: 1, column: 1 } };

/** Parses one `ONBUILD` trigger of a base image. @throws GantryError invalid */
export function parseTrigger(text: string, name: string): Exclude<Instruction, FromInstruction> {
  const source = sourceOf(name, text);
  const file = readLogicalLines(source);
  const [line, more] = file.lines;
  if (line === undefined || more !== undefined)
    throw frameError(more?.span(0, 1) ?? endOf(file, source), 'an ONBUILD trigger is one instruction');
  const instruction = parseInstruction(line, file.escape);
  if (instruction.kind === 'FROM' || instruction.kind === 'ONBUILD' || instruction.kind === 'MAINTAINER')
    throw frameError(instruction.span, `${instruction.kind} isn't allowed as an ONBUILD trigger`);
  return instruction;
}
