// The highlighter of mdBook knows no rhai. Its words are near enough to those of Rust.
{
    const rust = hljs.getLanguage('rust');
    if (rust) {
        hljs.registerLanguage('rhai', rust.rawDefinition || (() => rust));
        document.querySelectorAll('code.language-rhai').forEach((block) => hljs.highlightBlock(block));
    }
}
