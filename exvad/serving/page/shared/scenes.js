// What a person describes of a camera or a video: classes to look for, and what is normal there.

/**
 * Read the fields `categories` and `normal` of a form.
 * @param {FormData} fields
 * @returns {{categories?: Object<string, string[]>, normal?: string[]}} as in the HTTP API; what is
 *     empty is left out
 * @throws {Error} a class has no name or no description
 */
export function readScenes(fields) {
  const categories = parseCategories(fields.get("categories"));
  const normal = splitLines(fields.get("normal"));
  return {
    ...(Object.keys(categories).length ? { categories } : {}),
    ...(normal.length ? { normal } : {}),
  };
}

// Parse one class per line: `name: description; description`.
function parseCategories(text) {
  const categories = {};
  for (const line of splitLines(text)) {
    const [name, ...rest] = line.split(":");
    const phrases = rest.join(":").split(";").map((phrase) => phrase.trim()).filter(Boolean);
    if (!name.trim() || !phrases.length) {
      throw new Error(`“${line}”: write each class as name: description`);
    }
    categories[name.trim()] = phrases;
  }
  return categories;
}

function splitLines(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}
