# Writes OUTPUT from INPUT with the checkout's revision, "-dirty" if tracked files differ from it, and nothing outside a
# checkout. Runs at every build; the file changes only with the revision. Usage: cmake -DSOURCE=... -DINPUT=... -DOUTPUT=... -P
set(LRIAD_GIT "")
if(EXISTS "${SOURCE}/.git")
  execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=7 --exclude=* OUTPUT_VARIABLE LRIAD_GIT
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
configure_file("${INPUT}" "${OUTPUT}" @ONLY)
