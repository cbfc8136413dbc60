// Lists that are updated in place, so that focus and loaded images stay.

/**
 * Update the rows of a list to show some items, in their order.
 * @template T
 * @param {HTMLElement} list
 * @param {T[]} items
 * @param {(item: T) => string|number} getKey - the key identifies the row of an item
 * @param {(item: T) => HTMLElement} makeRow - makes an empty row
 * @param {(row: HTMLElement, item: T) => void} updateRow - writes an item into its row
 */
export function updateList(list, items, getKey, makeRow, updateRow) {
  const keys = new Set(items.map((item) => String(getKey(item))));
  const rows = new Map();
  for (const row of [...list.children]) {
    if (keys.has(row.dataset.key)) rows.set(row.dataset.key, row);
    else row.remove();
  }
  items.forEach((item, index) => {
    const key = String(getKey(item));
    const row = rows.get(key) ?? makeRow(item);
    row.dataset.key = key;
    updateRow(row, item);
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
}
