/** A name's picture, drawn from the name alone: its first letter on one of eight colours. */
export function Avatar({ name, large = false }: { readonly name: string; readonly large?: boolean }) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.charCodeAt(0)) % 8;
  return (
    <span class={`avatar hue-${sum}${large ? ' large' : ''}`} aria-hidden="true">
      {name.slice(0, 1).toUpperCase()}
    </span>
  );
}
