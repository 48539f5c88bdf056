/** A variable that a text asks for. */
export interface UsedVariable {
  readonly name: string;
  /** It says what holds where the variable is not set (`${x:-y}`, `${x+y}`, `${x:?why}`). */
  readonly hasDefault: boolean;
}

/** The variables of a text, as expansion finds them: not in single quotes, and not behind an escape. */
export function variableNames(text: string, escapeToken = '\\'): readonly UsedVariable[] {
  const found: UsedVariable[] = [];
  let single = false;
  let double = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (single) single = char !== "'";
    else if (char === escapeToken) at++;
    else if (char === "'" && !double) single = true;
    else if (char === '"') double = !double;
    else if (char === '$') {
      const match = /^\$(?:\{([A-Za-z_]\w*)(:?[-+?])?|([A-Za-z_]\w*))/.exec(text.slice(at));
      const name = match?.[1] ?? match?.[3];
      if (name !== undefined) found.push({ name, hasDefault: match?.[2] !== undefined });
    }
  }
  return found;
}
