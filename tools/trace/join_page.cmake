# cmake -D FROM=FOLDER/page.html -D TO=FILE -D ARRAY=FILE -P join_page.cmake
# Puts the style sheets and scripts that page.html names into it: TO is one file that needs no other.
# ARRAY is the same for a C compiler, as the numbers of an array's bytes.
cmake_path(GET FROM PARENT_PATH folder)
file(READ ${FROM} page)

# join(PATTERN BEFORE AFTER): every tag of the pattern becomes the file that it names.
function(join pattern before after)
  set(text "${page}")
  string(REGEX MATCHALL "${pattern}" tags "${text}")
  foreach(tag IN LISTS tags)
    string(REGEX REPLACE "${pattern}" "\\1" name "${tag}")
    file(READ ${folder}/${name} content)
    string(REPLACE "${tag}" "${before}\n${content}${after}" text "${text}")
  endforeach()
  set(page "${text}" PARENT_SCOPE)
endfunction()

join("<link rel=\"stylesheet\" href=\"([a-z]+\\.css)\">" "<style>" "</style>")
join("<script src=\"([a-z]+\\.js)\"></script>" "<script>" "</script>")
file(WRITE ${TO} "${page}")

file(READ ${TO} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${ARRAY} "${bytes}\n")
