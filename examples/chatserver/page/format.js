// How numbers, money, models and languages are shown.

const usd = { style: "currency", currency: "USD" };

// cost shortens an exact decimal amount to its first two significant digits,
// or to cents from ten cents on: the exact amount belongs in a title.
export function cost(decimal, language) {
  const amount = Number(decimal);
  const digits = amount >= 0.1 || amount === 0
    ? { minimumFractionDigits: 2, maximumFractionDigits: 2 }
    : { maximumSignificantDigits: 2 };
  return new Intl.NumberFormat(language, { ...usd, ...digits }).format(amount);
}

export function count(n, language) {
  return new Intl.NumberFormat(language).format(n);
}

// seconds shows a duration in milliseconds as seconds.
export function seconds(milliseconds, language) {
  const digits = milliseconds < 10_000 ? 2 : 1;
  return new Intl.NumberFormat(language, { style: "unit", unit: "second", unitDisplay: "narrow", maximumFractionDigits: digits })
    .format(milliseconds / 1000);
}

// modelName drops what only machines need from a model id: the geography and
// the provider before the name, the date and the version after it.
export function modelName(id) {
  return id.replace(/^.*[./](?=claude|nova)/, "").replace(/(-\d{8})?(-v\d+)?(:\d+)*$/, "");
}

// codePoints counts what the server counts: code points, not UTF-16 units.
export function codePoints(text) {
  let n = 0;
  for (const _ of text) n++;
  return n;
}

const scripts = /([\p{sc=Hiragana}\p{sc=Katakana}])|(\p{sc=Hangul})|(\p{sc=Han})|(\p{sc=Latin})/gu;

// Script tells the language of a text that arrives in pieces, by its script.
// A Japanese title or two do not make an English answer Japanese.
export class Script {
  #kana = 0;
  #hangul = 0;
  #han = 0;
  #latin = 0;

  write(text) {
    for (const [, kana, hangul, han] of text.matchAll(scripts)) {
      if (kana) this.#kana++;
      else if (hangul) this.#hangul++;
      else if (han) this.#han++;
      else this.#latin++;
    }
  }

  // language is a BCP 47 tag, or "" while no letter has been seen. Letters of
  // the East Asian scripts count double, for a word takes fewer of them.
  get language() {
    const japanese = this.#kana + this.#han;
    if (japanese + this.#hangul + this.#latin === 0) return "";
    if (this.#hangul > japanese && 2 * this.#hangul > this.#latin) return "ko";
    return 2 * japanese > this.#latin ? "ja" : "en";
  }
}

export function languageOf(text) {
  const script = new Script();
  script.write(text);
  return script.language;
}
