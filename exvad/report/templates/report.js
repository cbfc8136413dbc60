"use strict";
// Adds a read-out to timelines, and filters. The report is complete without them.
(() => {
  document.documentElement.classList.replace("no-js", "js");

  const formatTime = (seconds) => {
    const rounded = Math.floor(seconds + 0.5);
    const twoDigits = (n) => String(n).padStart(2, "0");
    const minutes = Math.floor(rounded / 60);
    return minutes < 60
      ? `${minutes}:${twoDigits(rounded % 60)}`
      : `${Math.floor(minutes / 60)}:${twoDigits(minutes % 60)}:${twoDigits(rounded % 60)}`;
  };

  const element = (name, className, parent) => {
    const created = document.createElement(name);
    created.className = className;
    parent.append(created);
    return created;
  };

  function addReadOut(figure) {
    const reader = figure.querySelector(".reader");
    const points = JSON.parse(reader.dataset.points);
    const classes = JSON.parse(reader.dataset.classes);
    const length = Number(reader.dataset.length);
    if (!points.length) return;

    const cursor = element("span", "cursor", reader);
    const bubble = element("output", "bubble", reader);
    bubble.setAttribute("aria-hidden", "true");
    const slider = element("input", "scrub", reader);
    Object.assign(slider, { type: "range", min: 0, max: points.length - 1, step: 1, value: 0 });
    slider.setAttribute("aria-label", "Score at a time");

    const show = (index, quiet) => {
      const [seconds, score, eventClass] = points[index];
      const left = Math.min(100, (100 * seconds) / length);
      const percent = score < 1 ? Math.min(99, Math.round(100 * score)) : 100;
      const className = eventClass < 0 ? "" : `, ${classes[eventClass]}`;
      const text = `${formatTime(seconds)}, score ${percent}\u202f%${className}`;
      cursor.style.left = `${left}%`;
      bubble.style.left = `${left}%`;
      bubble.style.translate = `${-left}% 0`;
      bubble.textContent = text.replaceAll(", ", " · ");
      slider.value = index;
      slider.setAttribute("aria-valuetext", text);
      reader.classList.toggle("on", !quiet);
    };
    const nearest = (seconds) => {
      let best = 0;
      points.forEach(([time], index) => {
        if (Math.abs(time - seconds) < Math.abs(points[best][0] - seconds)) best = index;
      });
      return best;
    };

    const hide = () => reader.classList.toggle("on", document.activeElement === slider);
    const follow = (event) => {
      const box = reader.getBoundingClientRect();
      show(nearest(((event.clientX - box.left) / box.width) * length));
    };
    show(0, true);
    slider.addEventListener("input", () => show(Number(slider.value)));
    slider.addEventListener("focus", () => show(Number(slider.value)));
    slider.addEventListener("blur", hide);
    reader.addEventListener("pointermove", follow);
    reader.addEventListener("pointerdown", follow);
    reader.addEventListener("pointerleave", hide);
    for (const thumb of figure.parentElement.querySelectorAll(".thumbs > li")) {
      thumb.addEventListener("pointerenter", () => show(nearest(Number(thumb.dataset.seconds))));
      thumb.addEventListener("pointerleave", hide);
    }
  }

  function addFilters() {
    const chips = [...document.querySelectorAll(".chip")];
    if (!chips.length) return;
    const reset = document.querySelector("[data-reset]");
    const shown = document.querySelector("[data-shown]");
    const allText = shown.textContent;
    const lists = [...document.querySelectorAll("[data-filtered]")];

    const chosen = (filter) =>
      chips
        .filter((c) => c.dataset.filter === filter && c.getAttribute("aria-pressed") === "true")
        .map((c) => c.dataset.value);
    const apply = () => {
      const outcomes = chosen("outcome");
      const classes = chosen("class");
      let count = 0;
      let total = 0;
      for (const list of lists) {
        count = 0;
        total = 0;
        for (const card of list.querySelectorAll("[data-card]")) {
          const cardClasses = card.dataset.classes.split("\n");
          card.hidden =
            (outcomes.length > 0 && !outcomes.includes(card.dataset.outcome)) ||
            (classes.length > 0 && !classes.some((name) => cardClasses.includes(name)));
          total += 1;
          count += card.hidden ? 0 : 1;
        }
      }
      const all = outcomes.length + classes.length === 0;
      shown.textContent = all ? allText : `Showing ${count} of ${total} videos.`;
      reset.hidden = all;
    };
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        apply();
      });
    }
    reset.addEventListener("click", () => {
      for (const chip of chips) chip.setAttribute("aria-pressed", "false");
      apply();
      chips[0].focus();
    });
    apply();
  }

  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.closest("details");
    if (details && !details.open) {
      details.open = true;
      target.scrollIntoView();
    }
  };

  document.querySelectorAll("[data-timeline]").forEach(addReadOut);
  addFilters();
  addEventListener("hashchange", openTarget);
  openTarget();
})();
