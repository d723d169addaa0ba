// What the reader has chosen, kept in this browser if it keeps anything.

export function setting(name) {
  try {
    return localStorage.getItem(`mangaassist.${name}`);
  } catch {
    return null;
  }
}

export function keepSetting(name, value) {
  try {
    localStorage.setItem(`mangaassist.${name}`, value);
  } catch {
    // The choice lasts until the page is left.
  }
}
