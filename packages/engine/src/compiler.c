/*
 * compiler FILE…: for each script, FILE.bytecode beside it, to be read by the same release of the engine. The value of
 * the script's last expression is what evaluating the bytecode gives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

static void fail(JSContext *context, const char *file) {
  JSValue error = JS_GetException(context);
  const char *text = JS_ToCString(context, error);
  JSValue stack = JS_GetPropertyStr(context, error, "stack");
  const char *trace = JS_ToCString(context, stack);
  fprintf(stderr, "%s: %s\n%s", file, text ? text : "?", trace ? trace : "");
  exit(1);
}

static char *read_file(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (!file) { perror(path); exit(1); }
  fseek(file, 0, SEEK_END);
  *length = ftell(file);
  rewind(file);
  char *text = malloc(*length + 1);
  if (fread(text, 1, *length, file) != *length) { perror(path); exit(1); }
  text[*length] = 0;
  fclose(file);
  return text;
}

int main(int count, char **arguments) {
  JSRuntime *runtime = JS_NewRuntime();
  JS_SetStripInfo(runtime, JS_STRIP_SOURCE | JS_STRIP_DEBUG);
  JSContext *context = JS_NewContext(runtime);
  for (int i = 1; i < count; i++) {
    size_t length, size;
    char *text = read_file(arguments[i], &length);
    JSValue script = JS_Eval(context, text, length, arguments[i], JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(script)) fail(context, arguments[i]);
    uint8_t *bytecode = JS_WriteObject(context, &size, script, JS_WRITE_OBJ_BYTECODE);
    if (!bytecode) fail(context, arguments[i]);
    char name[4096];
    snprintf(name, sizeof name, "%s.bytecode", arguments[i]);
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(bytecode, 1, size, file) != size || fclose(file)) { perror(name); exit(1); }
    js_free(context, bytecode);
    JS_FreeValue(context, script);
    free(text);
  }
  return 0;
}
