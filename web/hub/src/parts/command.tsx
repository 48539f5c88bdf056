import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from './announcer.tsx';

/** Browsers give pages the clipboard only over HTTPS or on localhost; elsewhere the text is selected and copied so. */
async function copy(text: string, code: HTMLElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (code !== null) getSelection()?.selectAllChildren(code);
    return document.execCommand('copy');
  }
}

/** A command to copy. */
export function Command({ text }: { readonly text: string }) {
  const code = useRef<HTMLElement>(null);
  const [label, setLabel] = useState('Copy');
  useEffect(() => {
    if (label === 'Copy') return undefined;
    const timer = setTimeout(() => setLabel('Copy'), 2000);
    return () => clearTimeout(timer);
  }, [label]);
  const click = async () => {
    const done = await copy(text, code.current);
    setLabel(done ? 'Copied' : 'Press Ctrl+C');
    announce(done ? 'Copied to the clipboard' : 'The command is selected; copy it with Ctrl+C');
  };
  return (
    <div class="command">
      <code ref={code}>{text}</code>
      <button type="button" aria-label={`${label}: ${text}`} onClick={() => void click()}>
        {label}
      </button>
    </div>
  );
}
