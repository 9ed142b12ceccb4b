#include "listener/conn.h"

#include <stddef.h>

void conn_list_init(struct conn_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

void conn_list_add(struct conn_list *list, struct conn *conn, enum conn_list_kind kind)
{
    struct conn_link *link = &conn->links[kind];
    if (link->back)
        return;
    link->next = NULL;
    link->back = list->last;
    *list->last = conn;
    list->last = &link->next;
}

void conn_list_remove(struct conn_list *list, struct conn *conn, enum conn_list_kind kind)
{
    struct conn_link *link = &conn->links[kind];
    if (!link->back)
        return;
    *link->back = link->next;
    if (link->next)
        link->next->links[kind].back = link->back;
    else
        list->last = link->back;
    *link = (struct conn_link){.next = NULL};
}
